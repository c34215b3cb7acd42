package lock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Messages by which one process has another claim bytes: at and shared, and as the answer whether somebody else has it, who
// that is, and the number of an error.
const (
	requestSize = 9
	answerSize  = 13
)

// Ask has whoever serves the other end claim a byte, as Byte does. over is an end of a Pair.
func Ask(over int, at int64, shared bool) (holder int, err error) {
	request := binary.LittleEndian.AppendUint64(nil, uint64(at))
	if err := unix.Send(over, append(request, flag(shared)), 0); err != nil {
		return 0, fmt.Errorf("ask for the lock of a byte: %w", err)
	}
	answer := make([]byte, answerSize)
	n, _, err := unix.Recvfrom(over, answer, 0)
	if err == nil && n != answerSize {
		err = io.ErrUnexpectedEOF
	}
	if errno := unix.Errno(binary.LittleEndian.Uint32(answer[9:])); err == nil && errno != 0 {
		err = errno
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("ask for the lock of a byte: %w", err)
	case answer[0] != 0:
		return int(binary.LittleEndian.Uint64(answer[1:])), ErrHeld
	}
	return 0, nil
}

// Serve claims bytes of a file for this process as the other end asks for them, and returns the file that it sends in
// the end. The error is io.EOF if the other end is closed without that.
func Serve(over, bytes *os.File) (*os.File, error) {
	for {
		request, sent, err := receive(over)
		if err != nil || sent != nil {
			return sent, err
		}
		if len(request) != requestSize {
			return nil, errNoFile
		}
		holder, err := Byte(bytes, int64(binary.LittleEndian.Uint64(request)), request[8] != 0)
		if err := unix.Send(int(over.Fd()), answerOf(holder, err), 0); err != nil {
			return nil, fmt.Errorf("answer who has asked for a lock: %w", err)
		}
	}
}

func answerOf(holder int, err error) []byte {
	held := errors.Is(err, ErrHeld)
	answer := binary.LittleEndian.AppendUint64([]byte{flag(held)}, uint64(holder))
	var errno unix.Errno
	if err != nil && !held && !errors.As(err, &errno) {
		errno = unix.EIO
	}
	return binary.LittleEndian.AppendUint32(answer, uint32(errno))
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}
