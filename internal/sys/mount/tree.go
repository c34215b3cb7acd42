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
// close it at once, when what is wanted of it has been opened.
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

// Option is one parameter of a file system that is about to be mounted; without a value it is a flag.
type Option struct{ Name, Value string }

// Make creates a file system of a type and returns it as a detached mount: fsopen(2), fsconfig(2) and
// fsmount(2), Linux 5.2. Nobody sees it before Attach.
func Make(fsType string, readOnly bool, options ...Option) (*fd.FD, error) {
	n, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fsType, err)
	}
	context := fd.New(n)
	defer context.Close()
	for _, option := range options {
		if err := configure(n, option); err != nil {
			return nil, fmt.Errorf("set option %s of %s: %w", option.Name, fsType, err)
		}
	}
	if err := unix.FsconfigCreate(n); err != nil {
		return nil, fmt.Errorf("create %s: %w", fsType, err)
	}
	attr := 0
	if readOnly {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	detached, err := unix.Fsmount(n, unix.FSMOUNT_CLOEXEC, attr)
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", fsType, err)
	}
	return fd.New(detached), nil
}

func configure(context int, option Option) error {
	if option.Value == "" {
		return unix.FsconfigSetFlag(context, option.Name)
	}
	return unix.FsconfigSetString(context, option.Name, option.Value)
}

// Attach moves a detached mount to a place in the tree (move_mount(2)).
func Attach(detached *fd.FD, point string) error {
	err := unix.MoveMount(detached.Int(), "", unix.AT_FDCWD, point, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("attach a mount at %q: %w", point, err)
	}
	return nil
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
