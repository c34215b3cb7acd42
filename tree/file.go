package tree

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/replica"
)

// ErrNotFile is returned for something other than a regular file where one is needed.
var ErrNotFile = fmt.Errorf("not a regular file")

// File is an open regular file. One goroutine at a time uses it.
type File struct {
	fd   *fd.FD
	made bool // by CreateTemp
}

// OpenFile opens a regular file for reading. It never blocks and never opens anything else: what the name
// leads to is looked at through an O_PATH descriptor first, and that object is opened, without setting its
// time of access.
func (d *Dir) OpenFile(name string) (*File, error) { return d.openFile(name, at.OneTree) }

func (d *Dir) openFile(name string, resolve uint64) (*File, error) {
	if err := component(name); err != nil {
		return nil, err
	}
	n, err := at.Open(d.FD(), name, at.Path, 0, resolve)
	if err != nil {
		return nil, named("open file", name, err)
	}
	f, err := reopen(n)
	if err != nil {
		return nil, named("open file", name, err)
	}
	return f, nil
}

// OpenObject opens the regular file that Lookup has described under the given name. Where the file system has
// handles it opens that very inode, wherever it is now, in one system call; the error is ErrStale if it is
// gone. Otherwise it is OpenFile.
func (d *Dir) OpenObject(name string, o Object) (*File, error) {
	if !o.IsFile() {
		return nil, named("open file", name, ErrNotFile)
	}
	// An inode never changes its type, so the handle of a file opens nothing else. What is mounted on the
	// name lies elsewhere, and its handle may lead to something else here.
	if o.Handle == "" || o.MountRoot || d.noHandles {
		return d.OpenFile(name)
	}
	n, err := d.openHandle(o.Handle, at.Read|at.NonBlock|at.NoAtime)
	if errors.Is(err, syscall.EPERM) {
		return d.OpenFile(name)
	}
	if err != nil {
		return nil, named("open file", name, leased(err))
	}
	return &File{fd: fd.New(n)}, nil
}

// OpenFileHandle opens a regular file of d's file system by its handle, as OpenFile does. The error is
// ErrStale if there is none.
func (d *Dir) OpenFileHandle(h weir.Handle) (*File, error) {
	n, err := d.openHandle(h, at.Path)
	if err != nil {
		return nil, fmt.Errorf("open file by handle: %w", err)
	}
	f, err := reopen(n)
	if err != nil {
		return nil, fmt.Errorf("open file by handle: %w", err)
	}
	return f, nil
}

// reopen opens for reading what the O_PATH descriptor n refers to, and closes n.
func reopen(n int) (*File, error) {
	defer at.Close(n)
	s, err := at.StatFD(n)
	if err != nil {
		return nil, err
	}
	if s.Mode&replica.TypeMask != replica.TypeFile {
		return nil, ErrNotFile
	}
	m, err := at.Reopen(n, at.Read|at.NonBlock|at.NoAtime)
	if err == syscall.EPERM {
		// Only the owner and root may ask for O_NOATIME.
		m, err = at.Reopen(n, at.Read|at.NonBlock)
	}
	if err != nil {
		return nil, leased(err)
	}
	return &File{fd: fd.New(m)}, nil
}

// leased says what it means that a regular file cannot be opened now. The holder of the lease has been told to give way,
// and the kernel makes it after a while.
func leased(err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("another program holds a lease on it: %w", err)
	}
	return err
}

// madeMode is the mode of a file that CreateTemp made.
const madeMode = 0o600

// CreateTemp makes a new, empty file with mode 0600 and opens it for reading and writing. It fails with
// EEXIST if the name is taken, by whatever.
func (d *Dir) CreateTemp(name string) (*File, error) {
	if err := d.change(name); err != nil {
		return nil, err
	}
	n, err := at.Open(d.FD(), name, at.ReadWrite|at.Create|at.NonBlock, madeMode, at.OneTree)
	if err != nil {
		return nil, d.failed("create file", name, err)
	}
	return &File{fd: fd.New(n), made: true}, nil
}

// Close closes the file. It may be called twice.
func (f *File) Close() error { return f.fd.Close() }

// FD is the file's descriptor, valid until Close.
func (f *File) FD() int { return f.fd.Int() }

// Stat describes the file, without its handle.
func (f *File) Stat() (Object, error) {
	s, err := at.StatFD(f.FD())
	if err != nil {
		return Object{}, fmt.Errorf("stat: %w", err)
	}
	return object(f.FD(), s), nil
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(buf []byte, offset int64) (int, error) { return at.ReadAt(f.FD(), buf, offset) }

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(buf []byte, offset int64) (int, error) { return at.WriteAt(f.FD(), buf, offset) }

// Datasync makes the file's data durable. Through a file that is open for reading it writes the pages that
// somebody has changed through a mapping, so that the next such change moves ctime (not on tmpfs).
func (f *File) Datasync() error {
	if err := at.Datasync(f.FD()); err != nil {
		return fmt.Errorf("sync file data: %w", err)
	}
	return nil
}

// HasWriter reports whether anybody has the file open for writing or maps it writable. The file was opened
// for reading. The error is EINVAL or EOPNOTSUPP where the file system has no leases. Somebody who opens the
// file for writing in that very moment waits for microseconds, or gets EWOULDBLOCK if it used O_NONBLOCK.
func (f *File) HasWriter() (bool, error) {
	has, err := at.HasWriter(f.FD())
	if err != nil {
		return false, fmt.Errorf("ask for read lease: %w", err)
	}
	return has, nil
}
