package probe

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Marks tries whether superblocks accept the mark by which changes are observed: FAN_MARK_FILESYSTEM in a
// group that reports directory handles, names and targets (Linux 5.17). It keeps one group, because closing
// a group that had a mark takes 10 ms. It is safe for concurrent use.
type Marks struct {
	mu    sync.Mutex
	group *fd.FD
}

// NewMarks makes the group. It takes one of the user's fs.fanotify.max_user_groups (EMFILE).
func NewMarks() (*Marks, error) {
	n, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_DFID_NAME_TARGET|unix.FAN_CLOEXEC|
		unix.FAN_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("fanotify_init with directory handles, names and targets: %w", err)
	}
	return &Marks{group: fd.New(n)}, nil
}

// Close closes the group. It may be called twice.
func (m *Marks) Close() error { return m.group.Close() }

const observed = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_RENAME | unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE |
	unix.FAN_ATTRIB | unix.FAN_ONDIR

// Try marks the superblock of the directory dir, which may be an O_PATH descriptor, and takes the mark away
// at once. The error is the kernel's reason: EOPNOTSUPP where file handles cannot be decoded, ENODEV where
// the file system has no id, EXDEV on a btrfs subvolume that is not the top-level one.
func (m *Marks) Try(dir *fd.FD) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := unix.FanotifyMark(m.group.Int(), unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, observed, dir.Int(), ".")
	if err != nil {
		return err
	}
	err = unix.FanotifyMark(m.group.Int(), unix.FAN_MARK_REMOVE|unix.FAN_MARK_FILESYSTEM, observed, dir.Int(), ".")
	m.drain()
	return err
}

// drain throws away what was reported meanwhile.
func (m *Marks) drain() {
	var buf [4096]byte
	for {
		n, err := unix.Read(m.group.Int(), buf[:])
		if err != nil && err != unix.EINTR || n == 0 {
			return
		}
	}
}
