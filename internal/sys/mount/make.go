package mount

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Stage is how far the making of a file system came.
type Stage uint8

const (
	StageType   Stage = iota // the type was looked up
	StageOption              // an option was set
	StageCreate              // the superblock was made, or read from the device
	StageMount               // the mount was made
)

// MakeError is why a file system was not made.
type MakeError struct {
	Stage  Stage
	Option string // of StageOption
	Log    string // what the kernel says about it, if it does
	Err    error
}

// Error prints the kernel's own words, if there are any, and the error.
func (e *MakeError) Error() string {
	if e.Log != "" {
		return fmt.Sprintf("%v (%s)", e.Err, e.Log)
	}
	return e.Err.Error()
}

// Unwrap returns the error of the system call.
func (e *MakeError) Unwrap() error { return e.Err }

// Make creates a file system of a type and returns it as a detached mount: fsopen(2), fsconfig(2) and
// fsmount(2), Linux 5.2. Nobody sees it before Attach. The error is a MakeError.
func Make(fsType string, readOnly bool, options ...Option) (*fd.FD, error) {
	attributes := 0
	if readOnly {
		attributes = unix.MOUNT_ATTR_RDONLY
	}
	return MakeWith(fsType, attributes, options...)
}

// MakeWith is Make with any attributes of the mount: MOUNT_ATTR_RDONLY and so on.
func MakeWith(fsType string, attributes int, options ...Option) (*fd.FD, error) {
	n, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, &MakeError{Stage: StageType, Err: fmt.Errorf("fsopen %s: %w", fsType, err)}
	}
	context := fd.New(n)
	defer context.Close()
	failed := func(stage Stage, option string, err error) error {
		return &MakeError{Stage: stage, Option: option, Log: contextLog(n), Err: err}
	}
	for _, option := range options {
		if err := configure(n, option); err != nil {
			return nil, failed(StageOption, option.Name, fmt.Errorf("set option %s of %s: %w", option.Name, fsType, err))
		}
	}
	if err := unix.FsconfigCreate(n); err != nil {
		return nil, failed(StageCreate, "", fmt.Errorf("create %s: %w", fsType, err))
	}
	detached, err := unix.Fsmount(n, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return nil, failed(StageMount, "", fmt.Errorf("fsmount %s: %w", fsType, err))
	}
	return fd.New(detached), nil
}

func configure(context int, option Option) error {
	if option.Value == "" {
		return unix.FsconfigSetFlag(context, option.Name)
	}
	return unix.FsconfigSetString(context, option.Name, option.Value)
}

// contextLog reads the messages that the kernel has left in a context: a letter for their weight, and text.
func contextLog(context int) string {
	var messages []string
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(context, buf)
		if err != nil || n == 0 { // ENODATA after the last
			return strings.Join(messages, "; ")
		}
		text := strings.TrimSpace(string(buf[:n]))
		if len(text) > 2 && text[1] == ' ' {
			text = text[2:]
		}
		messages = append(messages, text)
	}
}

// Attach moves a detached mount to a place in the tree (move_mount(2)).
func Attach(detached *fd.FD, point string) error {
	err := unix.MoveMount(detached.Int(), "", unix.AT_FDCWD, point, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("attach a mount at %q: %w", point, err)
	}
	return nil
}

// AttachOn moves a detached mount onto an open directory of the namespace that the thread is in.
func AttachOn(detached, dir *fd.FD) error {
	err := unix.MoveMount(detached.Int(), "", dir.Int(), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("attach a mount: %w", err)
	}
	return nil
}

// CloneOf makes a detached clone of the one mount that an open file is on, rooted there. Before Linux 6.15 there is
// EINVAL for a mount that is detached itself.
func CloneOf(file *fd.FD) (*fd.FD, error) {
	n, err := unix.OpenTree(file.Int(), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, fmt.Errorf("clone a mount: %w", err)
	}
	return fd.New(n), nil
}

// OpenPlace opens a directory as a process sees it, to mount on it: relative to that process's root, in its namespace.
func OpenPlace(pid int, dir string) (*fd.FD, error) {
	n, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of process %d: %w", pid, err)
	}
	root := fd.New(n)
	defer root.Close()
	// Absolute links in the path lead to the same root.
	n, err = unix.Openat2(root.Int(), dir, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, err
	}
	return fd.New(n), nil
}

// IDOf returns the id of the mount that an open file is on: unique or reusable.
func IDOf(file *fd.FD, unique bool) (uint64, error) {
	mask := unix.STATX_MNT_ID
	if unique {
		mask = unix.STATX_MNT_ID_UNIQUE
	}
	var stat unix.Statx_t
	if err := unix.Statx(file.Int(), "", unix.AT_EMPTY_PATH, mask, &stat); err != nil {
		return 0, fmt.Errorf("statx: %w", err)
	}
	if stat.Mask&uint32(mask) == 0 {
		return 0, fmt.Errorf("statx: no mount id: %w", unix.EOPNOTSUPP)
	}
	return stat.Mnt_id, nil
}

// SuperDeviceOf returns the device number of the superblock that a directory is on, also where its files have others. A
// mark is placed for a moment, by which the kernel tells it.
func SuperDeviceOf(dir *fd.FD) (Device, error) {
	sentinels, err := NewSentinels()
	if err != nil {
		return 0, err
	}
	defer sentinels.Close()
	if err := sentinels.Place(dir); err != nil {
		return 0, err
	}
	living, err := sentinels.Living()
	for device := range living {
		return device, err
	}
	return 0, fmt.Errorf("find the device of a superblock: %w", unix.ENOENT)
}
