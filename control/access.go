package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/peer"
)

// peerKey is where the context of a connection holds who is at its other end.
type peerKey struct{}

func withPeer(ctx context.Context, conn net.Conn) context.Context {
	who, err := peer.Of(conn)
	if err != nil {
		return ctx // mayAsk refuses whoever is not known.
	}
	return context.WithValue(ctx, peerKey{}, who)
}

// mayAsk returns who asks, or refuses: root and the owner of this process alone.
func mayAsk(ctx context.Context) (peer.Credentials, error) {
	who, known := ctx.Value(peerKey{}).(peer.Credentials)
	switch {
	case !known:
		return who, forbidden(errors.New("the kernel does not say who asks"))
	case who.UID != 0 && who.UID != uint32(os.Geteuid()):
		return who, forbidden(fmt.Errorf("user %d may not ask this weir, which runs as user %d", who.UID, os.Geteuid()))
	}
	return who, nil
}

func forbidden(err error) error {
	return &statusError{&weir.Error{Op: "ask weir", Kind: weir.KindRefused, Err: err, Hint: askAsRoot}, http.StatusForbidden}
}

const askAsRoot = "ask as root, or as the user who runs it"
