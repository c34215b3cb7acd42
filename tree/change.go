package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/replica"
)

// Flags of Rename.
const (
	NoReplace uint = at.NoReplace // fail with EEXIST if the new name is taken
	Exchange  uint = at.Exchange  // both names exist and change places
)

// ErrImmutable says why a change was answered with EPERM: the object or its directory carries an attribute
// of chattr(1).
var ErrImmutable = errors.New("is immutable or append-only; chattr -i -a lifts that")

// Mkdir makes a directory with mode 0700.
func (d *Dir) Mkdir(name string) error {
	if err := d.change(name); err != nil {
		return err
	}
	return d.failed("make directory", name, at.Mkdir(d.FD(), name, 0o700))
}

// Symlink makes a symbolic link with the given text, which is not interpreted.
func (d *Dir) Symlink(text, name string) error {
	if err := d.change(name); err != nil {
		return err
	}
	return d.failed("make symbolic link", name, at.Symlink(text, d.FD(), name))
}

// Mknod makes a FIFO, socket or device. mode has the type; its permission bits are subject to the umask.
func (d *Dir) Mknod(name string, mode uint32, rdev uint64) error {
	if err := d.change(name); err != nil {
		return err
	}
	err := at.Mknod(d.FD(), name, mode, rdev)
	if device := mode&replica.TypeMask == replica.TypeChar || mode&replica.TypeMask == replica.TypeBlock; err == syscall.EPERM && device {
		err = lacking(err, capMknod)
	}
	return d.failed("make special file", name, err)
}

// Rename moves a name, and replaces what has the new one. If both are names of one inode, the kernel does
// nothing and both stay.
func Rename(from *Dir, old string, to *Dir, new string, flags uint) error {
	if err := errors.Join(from.change(old), to.change(new)); err != nil {
		return err
	}
	err := at.Rename(from.FD(), old, to.FD(), new, flags)
	if err == syscall.EPERM && to.protected(new) {
		return to.failed("rename to", new, err)
	}
	return from.failed("rename", old, err)
}

// RenameFree is Rename to a name that must not be taken: the error is fs.ErrExist if it is. A file system that knows
// no flags of renameat2(2) is asked first; there, between asking and renaming, somebody else's new object could be
// overwritten.
func RenameFree(from *Dir, old string, to *Dir, name string) error {
	err := Rename(from, old, to, name, NoReplace)
	if !errors.Is(err, syscall.EINVAL) {
		return err
	}
	switch _, lookErr := to.Lookup(name); {
	case errors.Is(lookErr, fs.ErrNotExist):
		return Rename(from, old, to, name, 0)
	case lookErr != nil:
		return err
	}
	return to.failed("rename to", name, syscall.EEXIST)
}

// Link gives the object another name and does not follow it.
func Link(from *Dir, old string, to *Dir, new string) error {
	if err := errors.Join(from.change(old), to.change(new)); err != nil {
		return err
	}
	return from.failed("link", old, at.Link(from.FD(), old, to.FD(), new))
}

// Unlink removes a name of anything but a directory.
func (d *Dir) Unlink(name string) error {
	if err := d.change(name); err != nil {
		return err
	}
	return d.failed("remove", name, at.Unlink(d.FD(), name))
}

// Rmdir removes an empty directory.
func (d *Dir) Rmdir(name string) error {
	if err := d.change(name); err != nil {
		return err
	}
	return d.failed("remove directory", name, at.Rmdir(d.FD(), name))
}

// change checks that something may be changed at name.
func (d *Dir) change(name string) error {
	if d.byHandle {
		return named("change", name, ErrByHandle)
	}
	return component(name)
}

// failed explains the failure of a change at name; it passes nil.
func (d *Dir) failed(operation, name string, err error) error {
	if err == nil {
		return nil
	}
	if err == syscall.EPERM && d.protected(name) {
		err = fmt.Errorf("%w: %w", ErrImmutable, err)
	}
	return named(operation, name, err)
}

// protected reports whether the directory or the object carries an attribute that forbids changes.
func (d *Dir) protected(name string) bool {
	for _, stat := range []func() (at.Stat, error){
		func() (at.Stat, error) { return at.StatFD(d.FD()) },
		func() (at.Stat, error) { return at.StatName(d.FD(), name) },
	} {
		if s, err := stat(); err == nil && (s.Immutable || s.AppendOnly) {
			return true
		}
	}
	return false
}
