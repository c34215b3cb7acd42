package fanotify

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Group is a fanotify group: a set of marks and a queue of events.
type Group struct {
	// file is in non-blocking mode and known to the runtime's poller.
	file *os.File
}

// NewGroup makes a group with flags of fanotify_init(2). EMFILE means that fs.fanotify.max_user_groups
// groups, or RLIMIT_NOFILE descriptors, are in use; EPERM that CAP_SYS_ADMIN is missing; EINVAL that the
// kernel does not know a flag.
func NewGroup(flags uint) (*Group, error) {
	n, err := unix.FanotifyInit(flags|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	if err != nil {
		return nil, fmt.Errorf("make fanotify group: %w", err)
	}
	return &Group{file: os.NewFile(uintptr(n), "fanotify")}, nil
}

// Mark adds mask to what the group is told about the object that dir names: a directory descriptor, not
// one of O_PATH, or one of nsfs for MarkMountNamespace. object is MarkFilesystem or MarkMountNamespace.
func (g *Group) Mark(object uint, mask uint64, dir int) error {
	return g.mark(unix.FAN_MARK_ADD|object, mask, dir)
}

// Unmark takes mask back. ENOENT means that the object carries no mark of the group.
func (g *Group) Unmark(object uint, mask uint64, dir int) error {
	return g.mark(unix.FAN_MARK_REMOVE|object, mask, dir)
}

func (g *Group) mark(flags uint, mask uint64, dir int) error {
	path := "."
	if flags&MarkMountNamespace == MarkMountNamespace {
		path = "" // an nsfs descriptor is the object itself
	}
	return g.control("mark", func(fd int) error {
		return unix.FanotifyMark(fd, flags, mask, dir, path)
	})
}

// control runs call with the group's descriptor, which stays open meanwhile.
func (g *Group) control(op string, call func(fd int) error) error {
	raw, err := g.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("%s with fanotify group: %w", op, err)
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = call(int(fd)) }); err != nil {
		return fmt.Errorf("%s with fanotify group: %w", op, err)
	}
	if callErr != nil {
		return fmt.Errorf("%s with fanotify group: %w", op, callErr)
	}
	return nil
}

// Read waits until there are events, and fills buf with as many whole records as fit. It fails with an
// error that is os.ErrClosed once the group has been closed. buf should hold at least 4096 bytes.
func (g *Group) Read(buf []byte) (int, error) {
	n, err := g.file.Read(buf)
	if err != nil {
		return 0, fmt.Errorf("read fanotify group: %w", err)
	}
	return n, nil
}

// Drain is Read without waiting: it returns 0 if there are no events.
func (g *Group) Drain(buf []byte) (int, error) {
	var n int
	err := g.control("read", func(fd int) error {
		var err error
		for n, err = unix.Read(fd, buf); err == unix.EINTR; {
			n, err = unix.Read(fd, buf)
		}
		if err == unix.EAGAIN {
			n, err = 0, nil
		}
		return err
	})
	return max(n, 0), err
}

// Close ends a waiting Read and closes the group with all its marks. It may be called twice.
func (g *Group) Close() error {
	if err := g.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close fanotify group: %w", err)
	}
	return nil
}
