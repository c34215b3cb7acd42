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
