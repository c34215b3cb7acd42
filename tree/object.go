package tree

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/replica"
)

// Object is one inode as it was at one moment.
type Object struct {
	replica.Attr
	Handle weir.Handle  // empty where the file system has none that lasts
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
	o, same, err := d.glance(name)
	if err == nil && !same {
		o, err = d.lookOpen(name)
	}
	if err != nil {
		return Object{}, named("look up", name, err)
	}
	return o, nil
}

// glance describes a name without opening it, which is faster. same is false if another inode took the name
// meanwhile, so that attributes and handle may be of two.
func (d *Dir) glance(name string) (o Object, same bool, err error) {
	h, has := "", !d.noHandles
	if has {
		h, err = handle.OfName(d.FD(), name)
		if err != nil && !noHandle(err) {
			return o, false, err
		}
		has = err == nil
	}
	s, err := at.StatName(d.FD(), name)
	if err != nil {
		return o, false, err
	}
	o = object(s)
	o.Handle = weir.Handle(h)
	if !has {
		return o, true, nil
	}
	again, err := handle.OfName(d.FD(), name)
	return o, again == h, err
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

// Readlink returns the text of the symbolic link with the given name.
func (d *Dir) Readlink(name string) (string, error) {
	if err := component(name); err != nil {
		return "", err
	}
	n, err := at.Open(d.FD(), name, at.Path, 0, at.Beneath)
	if err != nil {
		return "", named("read link", name, err)
	}
	defer at.Close(n)
	text, err := at.Readlink(n)
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
	o := object(s)
	if noHandles {
		return o, nil
	}
	h, err := handle.Of(n)
	if err != nil && !noHandle(err) {
		return Object{}, fmt.Errorf("get file handle: %w", err)
	}
	o.Handle = weir.Handle(h)
	return o, nil
}

func object(s at.Stat) Object {
	return Object{
		Attr: replica.Attr{
			Mode: s.Mode, UID: s.UID, GID: s.GID, Nlink: s.Nlink, Rdev: s.Rdev, Size: s.Size, Ino: s.Ino,
			Mtime: replica.Time(s.Mtime), Ctime: replica.Time(s.Ctime),
		},
		Birth: replica.Time(s.Birth), Dev: s.Dev, Mount: s.Mount, Blocks: s.Blocks,
		MountRoot: s.MountRoot, Immutable: s.Immutable, AppendOnly: s.AppendOnly,
	}
}
