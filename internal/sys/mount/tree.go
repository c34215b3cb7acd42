package mount

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Clone makes a detached clone of the one mount that shows path, rooted at path (open_tree(2) with
// OPEN_TREE_CLONE, Linux 5.2). The descriptor is O_PATH; closing it dissolves the clone, but what has been
// opened below it stays usable and keeps only its own mount. It needs CAP_SYS_ADMIN.
func Clone(path string) (*fd.FD, error) {
	n, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("clone the mount at %q: %w", path, err)
	}
	return fd.New(n), nil
}

// ClonePrivate makes a detached clone of the mount that shows dir, with all mounts below dir except
// unbindable ones, and cuts its propagation (mount_setattr(2), Linux 5.12): a umount elsewhere is neither
// hindered by what is opened in the clone nor carried into it. The clone pins every superblock in it:
// close it at once, when what is wanted of it has been opened. That goes on showing, and keeping, what is mounted
// below it in the clone.
func ClonePrivate(dir string) (*fd.FD, error) {
	n, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("clone the mounts below %q: %w", dir, err)
	}
	tree := fd.New(n)
	attr := unix.MountAttr{Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(n, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		_ = tree.Close()
		return nil, fmt.Errorf("make the clone of %q private: %w", dir, err)
	}
	return tree, nil
}

// UniqueID returns the unique id of the mount that shows path (statx(2), Linux 6.8). The lookup keeps that
// mount busy for about a microsecond.
func UniqueID(path string) (uint64, error) { return statxID(path, unix.STATX_MNT_ID_UNIQUE) }

// ReusableID returns the number that mountinfo has for the mount that shows path (statx(2), Linux 5.8).
// The lookup keeps that mount busy for about a microsecond.
func ReusableID(path string) (uint64, error) { return statxID(path, unix.STATX_MNT_ID) }

func statxID(path string, mask int) (uint64, error) {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_NO_AUTOMOUNT, mask, &stat); err != nil {
		return 0, fmt.Errorf("statx %q: %w", path, err)
	}
	if stat.Mask&uint32(mask) == 0 {
		return 0, fmt.Errorf("statx %q: no mount id: %w", path, unix.EOPNOTSUPP)
	}
	return stat.Mnt_id, nil
}
