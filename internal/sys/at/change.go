package at

import "golang.org/x/sys/unix"

// Flags of Rename.
const (
	NoReplace = unix.RENAME_NOREPLACE
	Exchange  = unix.RENAME_EXCHANGE
)

// Mkdir makes a directory.
func Mkdir(dir int, name string, mode uint32) error {
	return uninterrupted(func() error { return unix.Mkdirat(dir, name, mode) })
}

// Symlink makes a symbolic link with the given text.
func Symlink(text string, dir int, name string) error {
	return uninterrupted(func() error { return unix.Symlinkat(text, dir, name) })
}

// Mknod makes a FIFO, socket or device; mode has the type bits.
func Mknod(dir int, name string, mode uint32, rdev uint64) error {
	return uninterrupted(func() error { return unix.Mknodat(dir, name, mode, int(rdev)) })
}

// Rename is renameat2(2).
func Rename(from int, old string, to int, new string, flags uint) error {
	return uninterrupted(func() error { return unix.Renameat2(from, old, to, new, flags) })
}

// Link gives the object, which is not followed, another name.
func Link(from int, old string, to int, new string) error {
	return uninterrupted(func() error { return unix.Linkat(from, old, to, new, 0) })
}

// Unlink removes a name that is not a directory's.
func Unlink(dir int, name string) error {
	return uninterrupted(func() error { return unix.Unlinkat(dir, name, 0) })
}

// Rmdir removes an empty directory.
func Rmdir(dir int, name string) error {
	return uninterrupted(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

// Chown sets the owner of what n, perhaps an O_PATH descriptor, refers to.
func Chown(n int, uid, gid uint32) error {
	return uninterrupted(func() error {
		return unix.Fchownat(n, "", int(uid), int(gid), unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Chmod sets the 12 permission bits of what n, perhaps an O_PATH descriptor, refers to. fchmodat2(2) is
// younger than the oldest kernel that weir runs on, so it goes through /proc.
func Chmod(n int, mode uint32) error {
	return uninterrupted(func() error { return unix.Fchmodat(unix.AT_FDCWD, ProcPath(n), mode, 0) })
}

// ChmodOpen is Chmod for a descriptor that is not one of O_PATH, at half the price.
func ChmodOpen(n int, mode uint32) error {
	return uninterrupted(func() error { return unix.Fchmod(n, mode) })
}

// SetMtime sets the time of modification of what n, perhaps an O_PATH descriptor, refers to, and leaves
// the time of access alone. AT_EMPTY_PATH needs Linux 5.8 there. A program behind a file system (libfuse 2)
// may do nothing, without an error, unless both times are set: see SetTimes.
func SetMtime(n int, t Time) error {
	return setTimes(n, unix.Timespec{Nsec: unix.UTIME_OMIT}, t)
}

// SetTimes sets both times.
func SetTimes(n int, atime, mtime Time) error {
	return setTimes(n, unix.Timespec{Sec: atime.Sec, Nsec: int64(atime.Nsec)}, mtime)
}

func setTimes(n int, atime unix.Timespec, mtime Time) error {
	ts := []unix.Timespec{atime, {Sec: mtime.Sec, Nsec: int64(mtime.Nsec)}}
	return uninterrupted(func() error { return unix.UtimesNanoAt(n, "", ts, unix.AT_EMPTY_PATH) })
}
