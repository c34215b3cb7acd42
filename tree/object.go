package tree

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/replica"
)

// Object is one inode as it was at one moment.
type Object struct {
	replica.Attr
	Handle weir.Handle  // empty where there is none that lasts, or it was not asked for
	Birth  replica.Time // zero where the file system keeps none

	Dev        uint64 // st_dev; of the subvolume on btrfs
	Mount      uint64 // number of the mount through which it was reached, reused after an umount
	Blocks     int64  // allocated, of 512 bytes
	MountRoot  bool   // whether it is the root directory of a mount
	Immutable  bool   // chattr +i
	AppendOnly bool   // chattr +a
}

// Lookup describes the object with the given name and does not follow it. Attributes and handle are those of
// the same inode. errors.Is(err, fs.ErrNotExist) holds only if the kernel said ENOENT: the name is absent.
func (d *Dir) Lookup(name string) (Object, error) {
	if err := component(name); err != nil {
		return Object{}, err
	}
	o, sure, err := d.glance(name)
	if err == nil && !sure {
		o, err = d.lookOpen(name)
	}
	if err != nil {
		return Object{}, named("look up", name, err)
	}
	return o, nil
}

// Stat is Lookup without the handle, in one system call; the directory itself for the empty name.
func (d *Dir) Stat(name string) (replica.Attr, error) {
	if name == "" {
		s, err := at.StatFD(d.FD())
		if err != nil {
			return replica.Attr{}, fmt.Errorf("stat directory: %w", err)
		}
		return object(d.FD(), s).Attr, nil
	}
	if err := component(name); err != nil {
		return replica.Attr{}, err
	}
	s, err := at.StatName(d.FD(), name)
	if err != nil {
		return replica.Attr{}, named("stat", name, err)
	}
	return object(d.FD(), s).Attr, nil
}

// glance describes a name without opening it, which is faster. sure is false if attributes and handle may be of
// two inodes, one of which took the name from the other meanwhile.
func (d *Dir) glance(name string) (o Object, sure bool, err error) {
	if d.noHandles {
		s, err := at.StatName(d.FD(), name)
		return object(d.FD(), s), true, err
	}
	start := time.Now()
	h, err := handle.OfName(d.FD(), name)
	if err != nil && !noHandle(err) {
		return o, false, err
	}
	none := err != nil
	s, err := at.StatName(d.FD(), name)
	if err != nil {
		return o, false, err
	}
	o = object(d.FD(), s)
	o.Handle = weir.Handle(h.Handle)
	switch {
	case none:
		return o, true, nil
	case !sameNumber(h, s):
		return o, false, nil
	case bornBefore(s, start, time.Now()):
		return o, true, nil
	}
	again, err := handle.OfName(d.FD(), name)
	return o, again == h, err
}

// subvolume is the inode number of the root of every subvolume of btrfs.
const subvolume = 256

// sameNumber reports whether a handle and attributes, read one after the other from one name, are of one file
// system and have one inode number there: that number is one inode's until the inode is gone. So they are of one
// inode if that one had the number when both were read: it was born before, or its handle can be had afterwards.
// The roots of mounts and of subvolumes lie on other file systems.
func sameNumber(h handle.Name, s at.Stat) bool {
	if s.MountRoot || s.Mount != h.Mount || typeOf(s) == replica.TypeDir && s.Ino <= subvolume {
		return false
	}
	ino, ok := handle.Inode(h.Handle)
	return ok && ino == s.Ino
}

// tick is more than the distance of the times that the kernel gives new inodes.
const tick = 20 * time.Millisecond

// bornBefore reports whether an inode, seen between start and end, is known to have been there before: it was
// born earlier, by a clock that nobody has set back since.
func bornBefore(s at.Stat, start, end time.Time) bool {
	if s.Birth == (at.Time{}) || end.Round(0).Sub(start.Round(0)) < end.Sub(start)-tick/2 {
		return false
	}
	return time.Unix(s.Birth.Sec, int64(s.Birth.Nsec)).Before(start.Add(-tick))
}

// noHandle says that a file system has no handles.
func noHandle(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EOVERFLOW)
}

// lookOpen holds the inode while it looks.
func (d *Dir) lookOpen(name string) (Object, error) {
	n, err := at.Open(d.FD(), name, at.Path, 0, at.Beneath)
	if err != nil {
		return Object{}, err
	}
	defer at.Close(n)
	return describe(n, d.noHandles)
}

// Self describes the directory itself.
func (d *Dir) Self() (Object, error) { return describe(d.FD(), d.noHandles) }

// Probe describes an inode of any type on d's file system by its handle, without opening it for reading or
// writing. The error is ErrStale if there is none; an inode that is open and has no name any more is found,
// with Nlink 0.
func (d *Dir) Probe(h weir.Handle) (Object, error) {
	n, err := d.openHandle(h, at.Path)
	if err != nil {
		return Object{}, fmt.Errorf("probe handle: %w", err)
	}
	defer at.Close(n)
	return describe(n, d.noHandles)
}

// Readlink returns the text of the symbolic link with the given name. The error is ErrReplaced if it leads to
// something else.
func (d *Dir) Readlink(name string) (string, error) {
	if err := component(name); err != nil {
		return "", err
	}
	text, err := at.Readlink(d.FD(), name)
	if err == syscall.EINVAL {
		err = fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if err != nil {
		return "", named("read link", name, err)
	}
	return text, nil
}

// describe tells of what a descriptor, perhaps one of O_PATH, refers to.
func describe(n int, noHandles bool) (Object, error) {
	s, err := at.StatFD(n)
	if err != nil {
		return Object{}, fmt.Errorf("stat: %w", err)
	}
	o := object(n, s)
	if noHandles || isPlaceholder(n, s) {
		return o, nil
	}
	h, err := handle.Of(n)
	if err != nil && !noHandle(err) {
		return Object{}, fmt.Errorf("get file handle: %w", err)
	}
	o.Handle = weir.Handle(h)
	return o, nil
}

// object is what s tells of an inode on the file system of n, as isPlaceholder wants it. A placeholder has always the same
// times here, other than none: whoever keeps them for later takes none for not known.
func object(n int, s at.Stat) Object {
	if isPlaceholder(n, s) {
		s.Mtime, s.Ctime, s.Birth = at.Time{Sec: 1}, at.Time{Sec: 1}, at.Time{}
	}
	return Object{
		Attr: replica.Attr{
			Mode: s.Mode, UID: s.UID, GID: s.GID, Nlink: s.Nlink, Rdev: s.Rdev, Size: s.Size, Ino: s.Ino,
			Mtime: replica.Time(s.Mtime), Ctime: replica.Time(s.Ctime),
		},
		Birth: replica.Time(s.Birth), Dev: s.Dev, Mount: s.Mount, Blocks: s.Blocks,
		MountRoot: s.MountRoot, Immutable: s.Immutable, AppendOnly: s.AppendOnly,
	}
}
