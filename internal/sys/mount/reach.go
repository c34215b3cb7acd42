package mount

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
)

// Mode says how something is opened.
type Mode uint8

const (
	Anything Mode = iota // a descriptor that only names it (O_PATH), of whatever type
	Place                // the same, of a directory
	Readable             // a directory, for reading
)

func (m Mode) flags() int {
	switch m {
	case Place:
		return unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	case Readable:
		return unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC
	default:
		return unix.O_PATH | unix.O_CLOEXEC
	}
}

// OpenBelow opens path relative to dir, across mounts, but never above dir. A symbolic link in it is ELOOP.
// An empty path is dir itself.
func OpenBelow(dir *fd.FD, path string, mode Mode) (*fd.FD, error) {
	return openBelow(dir, path, mode, 0)
}

// OpenOnMount is OpenBelow on the one mount that dir is on: where path crosses to another one there is EXDEV.
func OpenOnMount(dir *fd.FD, path string, mode Mode) (*fd.FD, error) {
	return openBelow(dir, path, mode, unix.RESOLVE_NO_XDEV)
}

func openBelow(dir *fd.FD, path string, mode Mode, resolve uint64) (*fd.FD, error) {
	how := unix.OpenHow{
		Flags:   uint64(mode.flags()),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | resolve,
	}
	if path == "" {
		path = "."
	}
	for {
		n, err := unix.Openat2(dir.Int(), path, &how)
		if err == nil {
			return fd.New(n), nil
		}
		// EAGAIN: something was renamed or mounted during the walk.
		if err != unix.EINTR && err != unix.EAGAIN {
			return nil, fmt.Errorf("open %q: %w", path, err)
		}
	}
}

// OpenClone clones the one mount that shows path, following symbolic links, and opens path on the clone. The
// lookup keeps the visible mount busy for a few microseconds.
func OpenClone(path string, mode Mode) (*fd.FD, error) {
	clone, err := Clone(path)
	if err != nil || mode == Anything {
		return clone, err
	}
	defer clone.Close()
	return OpenBelow(clone, ".", mode)
}

// OpenRoot names the root directory of the process.
func OpenRoot() (*fd.FD, error) {
	n, err := unix.Open("/", Place.flags(), 0)
	if err != nil {
		return nil, fmt.Errorf("open /: %w", err)
	}
	return fd.New(n), nil
}

// DeviceOf returns st_dev of an open file: that of its superblock, except on btrfs, where each subvolume has
// one of its own.
func DeviceOf(file *fd.FD) (Device, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(file.Int(), &stat); err != nil {
		return 0, fmt.Errorf("fstat: %w", err)
	}
	return Device(stat.Dev), nil
}

// IsBtrfs tells whether an open file, which may be one of O_PATH, is on a btrfs.
func IsBtrfs(file *fd.FD) bool {
	var stat unix.Statfs_t
	return unix.Fstatfs(file.Int(), &stat) == nil && stat.Type == unix.BTRFS_SUPER_MAGIC
}

// Birth returns when a file was made, or the zero time where the file system does not know.
func Birth(file *fd.FD) time.Time {
	var stat unix.Statx_t
	err := unix.Statx(file.Int(), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &stat)
	if err != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec)).UTC()
}

// OpensHandles tells whether the handle of a readable directory can be had and opened again.
func OpensHandles(dir *fd.FD) bool {
	h, err := handle.Of(dir.Int())
	if err != nil {
		return false
	}
	n, err := handle.Open(dir.Int(), h, unix.O_PATH)
	if err != nil {
		return false
	}
	return unix.Close(n) == nil
}
