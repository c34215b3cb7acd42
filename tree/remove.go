package tree

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/weirfs/weir/replica"
)

// passes bounds how often RemoveAll lists a directory that somebody keeps filling.
const passes = 100

// RemoveAll removes the object with the given name and, if it is a directory, everything below it, at any
// depth and with a bounded number of descriptors. It follows no link, enters no mount (EXDEV or EBUSY), and
// leaves the tree at no time: where a directory is moved away meanwhile, it stops with ErrReplaced. A name
// that is not there is no error.
func RemoveAll(d *Dir, name string) error {
	err := d.Unlink(name)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if !isDirectory(err) {
		return err
	}
	r := remover{}
	return r.tree(d, name)
}

// isDirectory reports whether unlinkat failed as it does for a directory: EISDIR, or EPERM as POSIX has it.
func isDirectory(err error) bool {
	return errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.EPERM) && !errors.Is(err, ErrImmutable)
}

// remover removes a tree depth first. It holds the directory it is in, and the way back as identities.
type remover struct {
	here  *Dir
	stack []step
}

// together is how many names of directories are kept from one listing.
const together = 1024

// step is one directory between the top and here.
type step struct {
	name   string   // in the directory above
	above  Object   // the directory above
	full   []string // directories below that are not empty
	passes int
}

func (r *remover) tree(top *Dir, name string) error {
	here, err := top.again()
	if err != nil {
		return err
	}
	r.here = here
	defer func() { r.here.Close() }()
	if err := r.down(name); err != nil {
		return err
	}
	for len(r.stack) > 0 {
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

// step empties here, goes down into a directory that is not empty, or goes up from an empty one.
func (r *remover) step() error {
	top := &r.stack[len(r.stack)-1]
	if len(top.full) == 0 {
		if err := r.files(top); err != nil {
			return err
		}
	}
	last := len(top.full) - 1
	if last < 0 {
		return r.up()
	}
	name := top.full[last]
	top.full = top.full[:last]
	return r.down(name)
}

// errEnough ends a listing that has met enough directories that have to be emptied first.
var errEnough = errors.New("enough")

// files removes what is not a directory, and empty directories, from here, and notes the other ones.
func (r *remover) files(top *step) error {
	err := r.here.List(func(name string, typ uint32) error {
		err := r.removeName(name, typ)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			top.full = append(top.full, name)
			err = nil
		}
		if err == nil && len(top.full) == together {
			err = errEnough
		}
		return err
	})
	if err == errEnough {
		return nil
	}
	return err
}

func (r *remover) removeName(name string, typ uint32) error {
	var err error
	if typ != replica.TypeDir {
		err = r.here.Unlink(name)
	}
	if typ == replica.TypeDir || err != nil && isDirectory(err) {
		err = r.here.Rmdir(name)
	}
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

func (r *remover) down(name string) error {
	above, err := r.here.Self()
	if err != nil {
		return err
	}
	next, err := r.here.OpenDir(name)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	r.here.Close()
	r.here = next
	r.stack = append(r.stack, step{name: name, above: above})
	return nil
}

// up goes back to the directory above, if it still is the one that was left, and removes the empty directory.
func (r *remover) up() error {
	top := &r.stack[len(r.stack)-1]
	above, err := r.here.parentIs(top.above)
	if err != nil {
		return fmt.Errorf("return from %s: %w", top.name, err)
	}
	err = above.Rmdir(top.name)
	if errors.Is(err, syscall.ENOTEMPTY) && top.passes < passes {
		top.passes++
		return above.Close()
	}
	r.here.Close()
	r.here = above
	r.stack = r.stack[:len(r.stack)-1]
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

// parentIs opens the directory above d if it is the expected one.
func (d *Dir) parentIs(expected Object) (*Dir, error) {
	p, err := d.Parent()
	if err != nil {
		return nil, err
	}
	o, err := p.Self()
	if err == nil && !sameInode(o, expected) {
		err = ErrReplaced
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	// It was reached through the tree before, so it is as good as it was then.
	p.byHandle = d.byHandle
	return p, nil
}

// sameInode reports whether both describe one inode.
func sameInode(a, b Object) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Handle == b.Handle && a.Birth == b.Birth
}
