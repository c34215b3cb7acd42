package lock

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Byte claims one byte of a file for this process, for itself alone or together with others that share it, without
// waiting; the byte need not exist. The error is ErrHeld if another process has it, with that one's id, or 0 if it is
// in a process namespace that is not seen from here.
//
// The claim ends with the process, and when the process closes any descriptor of the file. A child does not inherit it.
// What this process has claimed already it may claim again, in the other way too.
func Byte(file *os.File, at int64, shared bool) (holder int, err error) {
	claim := byteAt(at, shared)
	err = unix.FcntlFlock(file.Fd(), unix.F_SETLK, &claim)
	if err == unix.EAGAIN || err == unix.EACCES {
		if err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &claim); err == nil {
			return max(int(claim.Pid), 0), ErrHeld // Also if it has been let go of in between.
		}
	}
	if err != nil {
		return 0, fmt.Errorf("lock a byte of %s: %w", file.Name(), err)
	}
	return 0, nil
}

// ByteFree is Byte for who asks only, and claims nothing. The file may be open for reading alone.
func ByteFree(file *os.File, at int64, shared bool) (holder int, err error) {
	claim := byteAt(at, shared)
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &claim); err != nil {
		return 0, fmt.Errorf("ask for the lock of a byte of %s: %w", file.Name(), err)
	}
	if claim.Type != unix.F_UNLCK {
		return max(int(claim.Pid), 0), ErrHeld
	}
	return 0, nil
}

func byteAt(at int64, shared bool) unix.Flock_t {
	claim := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: at, Len: 1}
	if shared {
		claim.Type = unix.F_RDLCK
	}
	return claim
}
