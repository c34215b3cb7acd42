package tree

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
)

// ErrStale says that a handle leads to no inode on a file system that answers. The inode is gone, or this one
// could not be read: the kernel tells the two apart for nobody, so on a damaged disk it is no proof.
var ErrStale = errors.New("stale file handle")

// ErrByHandle is the refusal to change anything in a directory that was reached by handle: it may have been
// moved out of the tree.
var ErrByHandle = errors.New("directory was opened by handle and may lie outside of the tree; open it by its name to change it")

// Dir is an open directory. It is safe for concurrent use.
type Dir struct {
	fd        *fd.FD
	byHandle  bool // reached by handle, itself or an ancestor: reading only
	noHandles bool // on a file system whose handles do not last
}

// newDir makes a Dir of a descriptor of which nothing is known, and owns it.
func newDir(n int) *Dir { return &Dir{fd: fd.New(n), noHandles: passing(n)} }

// below makes a Dir of a descriptor that was opened below d, and owns it.
func (d *Dir) below(n int) *Dir { return &Dir{fd.New(n), d.byHandle, d.noHandles} }

// passing reports whether handles on the file system of n last only as long as the kernel remembers the
// inode, as those of a program (FUSE) do.
func passing(n int) bool {
	space, err := at.SpaceOf(n)
	return err == nil && space.Type == at.MagicFUSE
}

// Open makes a Dir of a readable directory descriptor, which stays the caller's: it is duplicated.
func Open(descriptor int) (*Dir, error) {
	n, err := at.Duplicate(descriptor)
	if err != nil {
		return nil, fmt.Errorf("duplicate directory descriptor: %w", err)
	}
	return newDir(n), nil
}

// OpenPath opens a directory by its path, following symbolic links.
func OpenPath(path string) (*Dir, error) {
	n, err := at.OpenPath(path)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", weir.QuotePath(path), err)
	}
	return newDir(n), nil
}

// Close closes the directory. It may be called twice.
func (d *Dir) Close() error { return d.fd.Close() }

// FD is the directory's descriptor, valid until Close.
func (d *Dir) FD() int { return d.fd.Int() }

// OpenDir opens the directory with the given name. It fails with ENOTDIR or ELOOP for anything else, a
// symbolic link included, and with EXDEV for a mount point.
func (d *Dir) OpenDir(name string) (*Dir, error) { return d.openDir(name, at.OneTree) }

func (d *Dir) openDir(name string, resolve uint64) (*Dir, error) {
	if err := component(name); err != nil {
		return nil, err
	}
	n, err := at.Open(d.FD(), name, at.Read|at.Dir, 0, resolve)
	if err != nil {
		return nil, named("open directory", name, err)
	}
	return d.below(n), nil
}

// longest is how many bytes of names Walk hands to the kernel at once; PATH_MAX is 4096.
const longest = 4000

// Walk opens the directory that is reached by names, one after the other, at any depth and with the
// protection of OpenDir. Without names it opens d again.
func (d *Dir) Walk(names []string) (*Dir, error) {
	if len(names) == 0 {
		return d.again()
	}
	here := d
	for len(names) > 0 {
		path, rest := head(names)
		next, err := here.walkShort(path, names[:len(names)-len(rest)])
		if here != d {
			here.Close()
		}
		if err != nil {
			return nil, err
		}
		here, names = next, rest
	}
	return here, nil
}

// head joins as many names as the kernel takes in one path.
func head(names []string) (path string, rest []string) {
	length := 0
	for i, name := range names {
		if length += len(name) + 1; length > longest && i > 0 {
			return strings.Join(names[:i], "/"), names[i:]
		}
	}
	return strings.Join(names, "/"), nil
}

func (d *Dir) walkShort(path string, names []string) (*Dir, error) {
	for _, name := range names {
		if err := component(name); err != nil {
			return nil, err
		}
	}
	n, err := at.Open(d.FD(), path, at.Read|at.Dir, 0, at.OneTree)
	if err != nil {
		return nil, named("open directory", path, err)
	}
	return d.below(n), nil
}

// again opens the directory a second time, with a position of its own.
func (d *Dir) again() (*Dir, error) {
	n, err := at.Again(d.FD())
	if err != nil {
		return nil, fmt.Errorf("open directory again: %w", err)
	}
	return d.below(n), nil
}

// Parent opens the directory above d, wherever d is now. The root of a detached mount is its own parent.
// It may leave the tree, so the result refuses every change.
func (d *Dir) Parent() (*Dir, error) {
	n, err := at.Parent(d.FD())
	if err != nil {
		return nil, fmt.Errorf("open parent directory: %w", err)
	}
	parent := newDir(n)
	parent.byHandle = true
	return parent, nil
}

// OpenHandle opens a directory of d's file system by its handle. The error is ErrStale if there is none.
// The directory may lie outside of the tree, so it refuses every change.
func (d *Dir) OpenHandle(h weir.Handle) (*Dir, error) {
	n, err := d.openHandle(h, at.Read|at.Dir)
	if err != nil {
		return nil, fmt.Errorf("open directory by handle: %w", err)
	}
	return &Dir{fd.New(n), true, d.noHandles}, nil
}

func (d *Dir) openHandle(h weir.Handle, flags int) (int, error) {
	n, err := handle.Open(d.FD(), string(h), flags)
	if !errors.Is(err, syscall.ESTALE) {
		return n, err
	}
	// A file system that has been shut down answers ESTALE for every inode that it does not remember.
	if _, failed := at.StatFD(d.FD()); failed != nil {
		return -1, failed
	}
	return -1, fmt.Errorf("%w: %w", ErrStale, err)
}

// Syncfs makes durable whatever anybody has written to the file system of d. An error of writing that the
// kernel met since d was opened is reported, once: open d before the first write, and after an error write
// again.
func (d *Dir) Syncfs() error {
	if err := at.Syncfs(d.FD()); err != nil {
		return fmt.Errorf("sync file system: %w", err)
	}
	return nil
}

// Sync makes the directory's names durable.
func (d *Dir) Sync() error {
	if err := at.Sync(d.FD()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// component refuses what is not one name below a directory.
func component(name string) error {
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0 {
		return &weir.Error{
			Op: "use file name", Kind: weir.KindRefused, Path: name,
			Err: errors.New("not the name of a directory entry"),
		}
	}
	return nil
}

// named says what was tried with which name.
func named(operation, name string, err error) error {
	return fmt.Errorf("%s %s: %w", operation, weir.QuotePath(name), err)
}
