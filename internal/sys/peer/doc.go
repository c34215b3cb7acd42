// Package peer asks the kernel who is at the other end of a unix socket.
//
// The package decides nothing. Its functions may be called from any goroutine.
package peer

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Credentials are those of a process when it connected, or began to listen: SO_PEERCRED of unix(7). What it does to its
// identity later, and to whom it passes the socket on, does not change them.
type Credentials struct {
	PID      int // 0 if it is in a process namespace that is not seen from here
	UID, GID uint32
}

// Of returns who is at the other end of a connection.
func Of(conn net.Conn) (Credentials, error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return Credentials{}, fmt.Errorf("ask who is connected: a %T is no unix socket", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return Credentials{}, fmt.Errorf("ask who is connected: %w", err)
	}
	var found *unix.Ucred
	var refused error
	err = raw.Control(func(fd uintptr) { found, refused = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, refused); err != nil {
		return Credentials{}, fmt.Errorf("ask who is connected: %w", err)
	}
	return Credentials{PID: int(found.Pid), UID: found.Uid, GID: found.Gid}, nil
}
