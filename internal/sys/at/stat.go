package at

import "golang.org/x/sys/unix"

// Time is a time of an inode.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Stat is what statx(2) tells of an inode.
type Stat struct {
	Mode       uint32
	UID, GID   uint32
	Nlink      uint32
	Dev, Rdev  uint64
	Ino        uint64
	Size       int64
	Blocks     int64 // of 512 bytes
	Mount      uint64
	Atime      Time
	Mtime      Time
	Ctime      Time
	Birth      Time // zero where the file system keeps none
	MountRoot  bool
	Immutable  bool
	AppendOnly bool
}

const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

// StatFD describes what the descriptor n refers to; n may be one of O_PATH.
func StatFD(n int) (Stat, error) { return statx(n, "", unix.AT_EMPTY_PATH) }

// StatName describes the object with one name below dir and does not follow it.
func StatName(dir int, name string) (Stat, error) { return statx(dir, name, 0) }

func statx(dir int, name string, flags int) (Stat, error) {
	var x unix.Statx_t
	err := uninterrupted(func() error {
		return unix.Statx(dir, name, flags|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, &x)
	})
	if err != nil {
		return Stat{}, err
	}
	s := Stat{
		Mode: uint32(x.Mode), UID: x.Uid, GID: x.Gid, Nlink: x.Nlink,
		Dev: unix.Mkdev(x.Dev_major, x.Dev_minor), Rdev: unix.Mkdev(x.Rdev_major, x.Rdev_minor),
		Ino: x.Ino, Size: int64(x.Size), Blocks: int64(x.Blocks), Mount: x.Mnt_id,
		Atime: Time{x.Atime.Sec, x.Atime.Nsec},
		Mtime: Time{x.Mtime.Sec, x.Mtime.Nsec}, Ctime: Time{x.Ctime.Sec, x.Ctime.Nsec},
		MountRoot:  x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
		Immutable:  x.Attributes&unix.STATX_ATTR_IMMUTABLE != 0,
		AppendOnly: x.Attributes&unix.STATX_ATTR_APPEND != 0,
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		s.Birth = Time{x.Btime.Sec, x.Btime.Nsec}
	}
	return s, nil
}

// Space is what statfs(2) tells of a file system.
type Space struct {
	Type      int64  // magic number
	FreeBytes uint64 // for users other than root
	RootBytes uint64 // for root
	Exact     bool   // data takes as many bytes as it has: nothing is packed, and there is a limit
}

// Magic numbers of Space.Type, statfs(2).
const (
	MagicExt   = unix.EXT4_SUPER_MAGIC // ext2, ext3 and ext4
	MagicFUSE  = unix.FUSE_SUPER_MAGIC
	MagicBtrfs = unix.BTRFS_SUPER_MAGIC
)

// SpaceOf describes the file system of the descriptor n.
func SpaceOf(n int) (Space, error) {
	var s unix.Statfs_t
	err := uninterrupted(func() error { return unix.Fstatfs(n, &s) })
	space := Space{Type: int64(s.Type), FreeBytes: s.Bavail * uint64(s.Frsize), RootBytes: s.Bfree * uint64(s.Frsize)}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		space.Exact = s.Blocks > 0 // A tmpfs without a limit has none.
	}
	return space, err
}

// Major returns the major number of a device.
func Major(rdev uint64) uint32 { return unix.Major(rdev) }

// Minor returns the minor number of a device.
func Minor(rdev uint64) uint32 { return unix.Minor(rdev) }
