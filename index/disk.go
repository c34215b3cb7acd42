package index

import (
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedDisk is a file system whose writes go through a guard. It has no locks: the caller of Open has
// locked the state directory, and the engine's lock would be kept by a process that is stuck in the kernel
// until the machine is restarted.
type guardedDisk struct {
	vfs.FS
	guard *guard
}

func (d guardedDisk) Unwrap() vfs.FS { return d.FS }

func (guardedDisk) Lock(string) (io.Closer, error) { return noLock{}, nil }

type noLock struct{}

func (noLock) Close() error { return nil }

// opened performs a call that makes a file and opens it.
func (d guardedDisk) opened(op string, call func() (vfs.File, error)) (file vfs.File, err error) {
	err = d.guard.write(op, func() error {
		file, err = call()
		return err
	})
	return d.guard.track(file, err)
}

// Create makes the entry of a manifest durable at once: the engine makes the marker that leads to it before
// it syncs the directory, and a disk may keep the one and lose the other.
func (d guardedDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := d.opened("create", func() (vfs.File, error) { return d.FS.Create(name, c) })
	if err == nil && strings.HasPrefix(d.PathBase(name), "MANIFEST-") {
		err = syncDir(d, d.PathDir(name))
	}
	return file, err
}

func (d guardedDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.opened("open", func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, o...) })
}

func (d guardedDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.opened("reuse", func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d guardedDisk) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	d.guard.read()
	return d.guard.track(d.FS.Open(name, o...))
}

func (d guardedDisk) OpenDir(name string) (vfs.File, error) {
	d.guard.park()
	return d.guard.track(d.FS.OpenDir(name))
}

func (d guardedDisk) Link(from, to string) error {
	return d.guard.write("link", func() error { return d.FS.Link(from, to) })
}

func (d guardedDisk) Rename(from, to string) error {
	return d.guard.write("rename", func() error { return d.FS.Rename(from, to) })
}

func (d guardedDisk) MkdirAll(dir string, perm os.FileMode) error {
	return d.guard.write("mkdir", func() error { return d.FS.MkdirAll(dir, perm) })
}

// Remove and RemoveAll pass errors on: the engine tries again later.
func (d guardedDisk) Remove(name string) error {
	d.guard.park()
	return d.FS.Remove(name)
}

func (d guardedDisk) RemoveAll(name string) error {
	d.guard.park()
	return d.FS.RemoveAll(name)
}

// guardedFile is an open file whose writes go through a guard.
type guardedFile struct {
	vfs.File
	guard *guard
}

// Close returns at once if the guard has closed the file.
func (f guardedFile) Close() error {
	if !f.guard.untrack(f.File) {
		return nil
	}
	return f.File.Close()
}

func (f guardedFile) Read(p []byte) (int, error) {
	f.guard.read()
	return f.File.Read(p)
}

func (f guardedFile) ReadAt(p []byte, offset int64) (int, error) {
	f.guard.read()
	return f.File.ReadAt(p, offset)
}

// Write goes on behind what was written before the disk was full. p may be changed by the file below, as
// vfs.File says, so that only what was not written yet is given to it again.
func (f guardedFile) Write(p []byte) (n int, err error) {
	err = f.guard.write("write", func() error {
		m, err := f.File.Write(p[n:])
		n += max(m, 0)
		return err
	})
	return n, err
}

func (f guardedFile) WriteAt(p []byte, offset int64) (n int, err error) {
	err = f.guard.write("write", func() error {
		m, err := f.File.WriteAt(p[n:], offset+int64(n))
		n += max(m, 0)
		return err
	})
	return n, err
}

// Preallocate is a hint: a disk that cannot do it, or has no room, is found by the write.
func (f guardedFile) Preallocate(offset, length int64) error {
	f.guard.park()
	_ = f.File.Preallocate(offset, length)
	return nil
}

// sync fails for good, whatever the reason: after a failed fsync(2) the kernel may take the pages for
// written, so that trying again proves nothing.
func (f guardedFile) sync(call func() error) error {
	f.guard.park()
	if err := call(); err != nil {
		f.guard.fail(failedSync(err))
		f.guard.park()
	}
	return nil
}

func (f guardedFile) Sync() error { return f.sync(f.File.Sync) }

func (f guardedFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f guardedFile) SyncTo(length int64) (whole bool, err error) {
	err = f.sync(func() error {
		whole, err = f.File.SyncTo(length)
		return err
	})
	return whole, err
}
