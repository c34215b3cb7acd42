// Package fd owns file descriptors. No other package keeps a descriptor as a bare number in a struct.
package fd

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FD is an owned file descriptor. It is safe for concurrent use, but Close does not wait for calls that
// use the number: whoever closes knows that nobody is inside.
type FD struct{ n atomic.Int64 }

// open counts descriptors that are owned and not yet closed, for tests.
var open atomic.Int64

// New takes ownership of descriptor n.
func New(n int) *FD {
	f := new(FD)
	f.n.Store(int64(n))
	open.Add(1)
	return f
}

// Int returns the descriptor's number, or -1 once it has been closed: a system call then fails with EBADF
// and never reaches a descriptor that got the same number later.
func (f *FD) Int() int { return int(f.n.Load()) }

// Close closes the descriptor. It may be called twice; only the first call closes.
func (f *FD) Close() error {
	n := f.n.Swap(-1)
	if n < 0 {
		return nil
	}
	open.Add(-1)
	return unix.Close(int(n))
}

// Open returns how many descriptors are owned now. Tests use it to find leaks.
func Open() int { return int(open.Load()) }
