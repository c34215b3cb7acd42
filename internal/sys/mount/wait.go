package mount

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Waiter waits for changes of mounts. Interrupt may be called from any goroutine; Wait from one at a time.
type Waiter struct{ wake *fd.FD }

// NewWaiter makes a waiter.
func NewWaiter() (*Waiter, error) {
	n, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return &Waiter{wake: fd.New(n)}, nil
}

// Close closes the waiter. Nobody may be in Wait.
func (w *Waiter) Close() error { return w.wake.Close() }

// Interrupt makes the present or the next Wait return.
func (w *Waiter) Interrupt() {
	_, _ = unix.Write(w.wake.Int(), []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// Wait returns when events has something to read, when table has changed, when the timeout has passed
// (negative: never), or when it is interrupted. events and table may be nil. changed says that table was
// the reason, or one of them.
func (w *Waiter) Wait(events *Events, table *Table, timeout time.Duration) (changed bool, err error) {
	fds := []unix.PollFd{{Fd: int32(w.wake.Int()), Events: unix.POLLIN}, {Fd: -1}, {Fd: -1}}
	if events != nil {
		fds[1] = unix.PollFd{Fd: int32(events.group.Int()), Events: unix.POLLIN}
	}
	if table != nil {
		fds[2] = unix.PollFd{Fd: int32(table.file.Int()), Events: unix.POLLPRI}
	}
	milliseconds := -1
	if timeout >= 0 {
		milliseconds = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	if _, err := pollRetry(fds, milliseconds); err != nil {
		return false, fmt.Errorf("wait for mounts: %w", err)
	}
	if fds[0].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(w.wake.Int(), count[:])
	}
	return fds[2].Revents&(unix.POLLPRI|unix.POLLERR) != 0, nil
}
