package at

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of Open, Reopen and handle.Open.
const (
	Read      = unix.O_RDONLY
	ReadWrite = unix.O_RDWR
	Dir       = unix.O_DIRECTORY
	Path      = unix.O_PATH
	Create    = unix.O_CREAT | unix.O_EXCL
	NonBlock  = unix.O_NONBLOCK | unix.O_NOCTTY
	NoAtime   = unix.O_NOATIME
)

// How far Open may go.
const (
	Beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	OneTree = Beneath | unix.RESOLVE_NO_XDEV // Beneath, and not into a mount
)

// attempts bounds repeated calls: openat2(2) answers EAGAIN while a rename elsewhere keeps it from
// proving that a path stays beneath, and a signal may arrive at any time.
const attempts = 1000

// again calls f until it is neither interrupted nor told to try again.
func again(f func() error) (err error) {
	for range attempts {
		if err = f(); err != unix.EINTR && err != unix.EAGAIN {
			return err
		}
	}
	return err
}

// uninterrupted calls f until no signal interrupts it.
func uninterrupted(f func() error) (err error) {
	for range attempts {
		if err = f(); err != unix.EINTR {
			return err
		}
	}
	return err
}

// Open opens name below dir with openat2(2), Linux 5.6. mode is that of a new file.
func Open(dir int, name string, flags int, mode uint32, resolve uint64) (n int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Mode:    uint64(mode),
		Resolve: resolve,
	}
	err = again(func() error {
		n, err = unix.Openat2(dir, name, &how)
		return err
	})
	return n, err
}

// OpenPath opens a directory by its path, following symbolic links.
func OpenPath(path string) (n int, err error) {
	err = uninterrupted(func() error {
		n, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return n, err
}

// Parent opens the directory above dir, which the root of a mount is itself where nothing is above it.
func Parent(dir int) (n int, err error) {
	err = uninterrupted(func() error {
		n, err = unix.Openat(dir, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return n, err
}

// Again opens the directory dir a second time: the new descriptor has a position of its own.
func Again(dir int) (n int, err error) {
	err = uninterrupted(func() error {
		n, err = unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return n, err
}

// Reopen opens what the descriptor n, perhaps one of O_PATH, refers to. It needs /proc.
func Reopen(n, flags int) (m int, err error) {
	err = uninterrupted(func() error {
		m, err = unix.Open(ProcPath(n), flags|unix.O_CLOEXEC, 0)
		return err
	})
	return m, err
}

// ProcPath is a path to what the descriptor n of this process refers to. Calls that follow links reach
// the object itself by it, also when it is a symbolic link, and never anything else.
func ProcPath(n int) string { return "/proc/self/fd/" + strconv.Itoa(n) }

// Duplicate makes another descriptor for the same open file.
func Duplicate(n int) (int, error) { return unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0) }

// Close closes a descriptor that nobody owns yet.
func Close(n int) error { return unix.Close(n) }
