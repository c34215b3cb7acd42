package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/peer"
	"github.com/weirfs/weir/internal/sys/process"
)

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// request is one request of somebody who may ask.
type request struct {
	*http.Request
	op   string
	peer peer.Credentials
}

// by names who asks, for the ledger and the log.
func (r *request) by() string {
	if r.peer.UID == 0 {
		return "root"
	}
	return fmt.Sprintf("user %d", r.peer.UID)
}

// caller is by with the process that asks, and its name, as far as they are known.
func (r *request) caller() string {
	if r.peer.PID == 0 {
		return r.by()
	}
	name := ""
	if comm := process.Name(r.peer.PID); comm != "" {
		name = " (" + weir.QuotePath(comm) + ")"
	}
	return fmt.Sprintf("%s, process %d%s", r.by(), r.peer.PID, name)
}

// volumeID reads the number of a volume.
func volumeID(op, text string) (weir.VolumeID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, refusal(op, text, errors.New("it is no number of a volume"), "GET /v1/volumes lists them")
	}
	return weir.VolumeID(n), nil
}

// query returns the parameters behind the question mark, and refuses others than those that are known, and repetitions.
func (r *request) query(known ...string) (map[string]string, error) {
	values := map[string]string{}
	for name, list := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return nil, refusal(r.op, name, errors.New("the request has no such parameter"), "see /v1/openapi.yaml")
		}
		if len(list) > 1 {
			return nil, refusal(r.op, name, errors.New("the parameter is there more than once"), "give it once")
		}
		values[name] = list[0]
	}
	return values, nil
}

// read fills into with the body, as decode does.
func (r *request) read(into any) error {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = decode(body, into)
	}
	if err == nil {
		return nil
	}
	refused := refusal(r.op, "", fmt.Errorf("the body is not understood: %w", err), "see /v1/openapi.yaml")
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return &statusError{refused, http.StatusRequestEntityTooLarge}
	}
	return refused
}

// upgradesTo refuses a request whose connection is not to speak another protocol.
func (r *request) upgradesTo(protocol string) error {
	if r.Header.Get("Upgrade") == protocol {
		return nil
	}
	return &statusError{refusal(r.op, "", errors.New("it needs a connection of its own"),
		`send the headers "Connection: Upgrade" and "Upgrade: `+protocol+`"`), http.StatusUpgradeRequired}
}

// text is an answer that is no JSON.
type text struct {
	kind string
	body []byte
}

// upgrade is an answer after which the connection speaks another protocol. serve has it until it returns; what the peer
// has sent already is read from it, too.
type upgrade struct {
	protocol string
	serve    func(conn net.Conn)
}

// made marks the answer of a request that has made something.
type made struct{ body any }
