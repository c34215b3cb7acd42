package mount

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Table is /proc/self/mountinfo, held open: reading it is reading the mount namespace of the process. The
// open file pins no mount. It is not safe for concurrent use, except that Poll of another goroutine may
// wait while Read runs.
type Table struct {
	file *fd.FD
	buf  []byte
}

// OpenTable opens the mount table.
func OpenTable() (*Table, error) {
	n, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc/self/mountinfo: %w", err)
	}
	return &Table{file: fd.New(n)}, nil
}

// Close closes the table. It may be called twice.
func (t *Table) Close() error { return t.file.Close() }

// Read returns the mounts. The kernel hands the table out in pieces, and mounts may come and go between
// them: the result is of one moment only if nothing has Changed since before Read.
func (t *Table) Read() ([]Entry, error) {
	text, err := t.text()
	if err != nil {
		return nil, fmt.Errorf("read /proc/self/mountinfo: %w", err)
	}
	return ParseMountinfo(text)
}

func (t *Table) text() ([]byte, error) {
	if _, err := unix.Seek(t.file.Int(), 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	t.buf = t.buf[:0]
	for {
		if cap(t.buf)-len(t.buf) < 4096 {
			t.buf = append(make([]byte, 0, 2*cap(t.buf)+16384), t.buf...)
		}
		n, err := unix.Read(t.file.Int(), t.buf[len(t.buf):cap(t.buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return bytes.Clone(t.buf), err
		}
		t.buf = t.buf[:len(t.buf)+n]
	}
}

// Changed tells whether a mount was attached, detached, moved or remounted since the last call of
// Changed or Poll on this table, in well under a microsecond of work for the kernel.
func (t *Table) Changed() (bool, error) {
	fds := []unix.PollFd{{Fd: int32(t.file.Int()), Events: unix.POLLPRI}}
	n, err := pollRetry(fds, 0)
	return n > 0 && fds[0].Revents&(unix.POLLPRI|unix.POLLERR) != 0, err
}

func pollRetry(fds []unix.PollFd, milliseconds int) (int, error) {
	for {
		n, err := unix.Poll(fds, milliseconds)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// ReadOf returns the mounts of the mount namespace that a process is in.
func ReadOf(pid int) ([]Entry, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	return ParseMountinfo(text)
}
