// Package lock claims files for a process, with flock(2), and single bytes of files, with fcntl(2). A lock of a file
// belongs to the open file: it ends when the last descriptor of it is closed, hence with the process, unless a child has
// inherited one. os.File does not let it. That of a byte belongs to the process.
//
// The package decides nothing. Its functions may be called from any goroutine.
package lock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrHeld says that somebody else has the lock.
var ErrHeld = errors.New("the lock is held")

// Try takes the lock of an open file for itself alone, without waiting. The error is ErrHeld if another open
// file has it.
func Try(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrHeld
	case err != nil:
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
}
