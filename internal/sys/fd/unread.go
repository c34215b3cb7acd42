package fd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Unread returns how many bytes are in a pipe.
func Unread(pipe *os.File) (n int64, err error) {
	raw, err := pipe.SyscallConn()
	if err == nil {
		outer := raw.Control(func(number uintptr) {
			var unread int
			unread, err = unix.IoctlGetInt(int(number), unix.TIOCINQ)
			n = int64(unread)
		})
		if err == nil {
			err = outer
		}
	}
	if err != nil {
		return 0, fmt.Errorf("ask how much is in a pipe: %w", err)
	}
	return n, nil
}
