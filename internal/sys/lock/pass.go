package lock

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Pair returns two connected ends over which one process passes a locked file to another.
func Pair() (one, other *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return os.NewFile(uintptr(ends[0]), "locks"), os.NewFile(uintptr(ends[1]), "locks"), nil
}

// Send passes the open file, and with it its lock, to whoever receives at the other end. The caller's own descriptor
// keeps the lock too, until it is closed.
func Send(over, file *os.File) error {
	if err := unix.Sendmsg(int(over.Fd()), []byte{0}, unix.UnixRights(int(file.Fd())), nil, 0); err != nil {
		return fmt.Errorf("pass a lock on: %w", err)
	}
	return nil
}

var errNoFile = errors.New("take a lock over: no file came")

// Receive waits for a file that the other end sends. The error is io.EOF if that is closed.
func Receive(over *os.File) (*os.File, error) {
	_, file, err := receive(over)
	if err == nil && file == nil {
		err = errNoFile
	}
	return file, err
}

// receive waits for a message, which may bring a file.
func receive(over *os.File) (text []byte, file *os.File, err error) {
	text, control := make([]byte, requestSize), make([]byte, unix.CmsgSpace(4))
	n, controls, _, _, err := unix.Recvmsg(int(over.Fd()), text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("take a lock over: %w", err)
	}
	if n == 0 {
		return nil, nil, io.EOF
	}
	if controls == 0 {
		return text[:n], nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil || len(messages) == 0 {
		return nil, nil, errors.Join(errNoFile, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, nil, errors.Join(errNoFile, err)
	}
	return text[:n], os.NewFile(uintptr(fds[0]), "lock"), nil
}
