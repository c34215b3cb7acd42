package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// must fails on what is a fault of the test. Operations may fail: names collide.
func must(w *world, err error) {
	if err != nil {
		w.Fatalf("%v", err)
	}
}

var nameSet = []string{"a", "b", "c", "d", "new\nline", "\xff\xfe", strings.Repeat("n", 255)}

// path draws a path of up to three components.
func (w *world) path(label string) string { return w.pathIn(w.root(label), label) }

// root draws the source, or now and then the root of a volume in it.
func (w *world) root(label string) string {
	n := rapid.IntRange(0, 11).Draw(w.T, label+" root")
	switch {
	case n == 0 && w.blind != "":
		return w.blind
	case n > 0 && n <= len(w.nested) && w.nested[n-1].at != "":
		if at, err := w.find(w.nested[n-1]); err == nil {
			return at
		}
	}
	return w.source
}

func (w *world) pathIn(p, label string) string {
	depth := rapid.IntRange(1, 3).Draw(w.T, label+" depth")
	for i := range depth {
		p = filepath.Join(p, rapid.SampledFrom(nameSet[:4+3*(i%2)]).Draw(w.T, label))
	}
	return p
}

func (w *world) content() []byte {
	w.serial++
	size := rapid.SampledFrom([]int{0, 1, 10, 4096, 5000, 100_000}).Draw(w.T, "size")
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(uint64(w.serial), uint64(size)))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// operation performs one random operation. Errors of the operation itself are part of the game.
func (w *world) operation() {
	ops := w.operations()
	switch w.mix {
	case 1: // Names and links of few inodes.
		ops = append(ops[:0:0], operation{"link", w.link}, operation{"link", w.link}, operation{"link", w.link}, operation{"rename", w.rename},
			operation{"unlink", w.unlink}, operation{"write", w.write}, operation{"append", w.appendFile}, operation{"chmod", w.chmod},
			operation{"change, unlink", w.changeUnlink}, operation{"unlink, change", w.unlinkChange}, operation{"link outside", w.linkOutside},
			operation{"change outside", w.changeOutside}, operation{"mkdir", w.mkdir}, operation{"mount", w.mount}, operation{"pause", w.pause})
	case 2: // Swaps, cycles and parents into children.
		ops = append(ops[:0:0], operation{"mkdirall", w.mkdirAll}, operation{"mkdirall", w.mkdirAll}, operation{"write", w.write},
			operation{"rename", w.rename}, operation{"exchange", w.exchange}, operation{"swap", w.swap}, operation{"cycle", w.cycle},
			operation{"parent into child", w.parentIntoChild}, operation{"link", w.link}, operation{"mount", w.mount}, operation{"move a mount point", w.movePoint},
			operation{"pause", w.pause})
	}
	op := rapid.SampledFrom(ops).Draw(w.T, "op")
	w.judge(op.name, op.do())
}

func (w *world) judge(name string, err error) {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		w.Fatalf("%s: %v", name, err)
	}
}

type operation struct {
	name string
	do   func() error
}

func (w *world) operations() []operation {
	return []operation{
		{"write", w.write},
		{"append", w.appendFile},
		{"truncate", func() error {
			return os.Truncate(w.path("file"), int64(rapid.IntRange(0, 10000).Draw(w.T, "length")))
		}},
		{"punch", w.punch},
		{"mkdir", w.mkdir},
		{"mkdirall", w.mkdirAll},
		{"rename", w.rename},
		{"rename", w.rename},
		{"exchange", w.exchange},
		{"link", w.link},
		{"unlink", w.unlink},
		{"removeall", func() error { return w.removeTree(w.path("tree")) }},
		{"symlink", func() error { return os.Symlink(w.path("text"), w.path("link")) }},
		{"mknod", func() error { return unix.Mkfifo(w.path("fifo"), 0o600) }},
		{"chmod", w.chmod},
		{"chown", func() error {
			return os.Lchown(w.path("name"), rapid.IntRange(0, 3).Draw(w.T, "uid"), rapid.IntRange(0, 3).Draw(w.T, "gid"))
		}},
		{"xattr", func() error {
			return unix.Setxattr(w.path("name"), "user."+rapid.SampledFrom(nameSet[:3]).Draw(w.T, "attribute"), w.content()[:0], 0)
		}},
		{"utimes", func() error {
			at := time.Unix(int64(rapid.IntRange(0, 1<<31).Draw(w.T, "second")), 123456789)
			return os.Chtimes(w.path("name"), at, at)
		}},
		{"tmpfile", w.tmpfile},
		{"replace", w.replaceFile},
		{"change, unlink", w.changeUnlink},
		{"unlink, change", w.unlinkChange},
		{"link outside", w.linkOutside},
		{"change outside", w.changeOutside},
		{"mount", w.mount},
		{"move a mount point", w.movePoint},
		{"pause", w.pause},
	}
}

func (w *world) write() error    { return writeFile(w.path("file"), w.content()) }
func (w *world) mkdir() error    { return os.Mkdir(w.path("dir"), 0o755) }
func (w *world) mkdirAll() error { return os.MkdirAll(w.path("dir"), 0o750) }
func (w *world) rename() error   { return os.Rename(w.path("from"), w.path("to")) }
func (w *world) link() error     { return os.Link(w.path("old"), w.path("new")) }
func (w *world) unlink() error   { return os.Remove(w.path("name")) }

func (w *world) exchange() error {
	return unix.Renameat2(unix.AT_FDCWD, w.path("one"), unix.AT_FDCWD, w.path("two"), unix.RENAME_EXCHANGE)
}

func (w *world) chmod() error {
	return unix.Chmod(w.path("name"), uint32(rapid.IntRange(0, 0o7777).Draw(w.T, "mode")))
}

func (w *world) pause() error {
	time.Sleep(time.Duration(rapid.IntRange(0, 12).Draw(w.T, "ms")) * time.Millisecond)
	return nil
}

// changeUnlink changes a file through one of its names, and takes that away at once.
func (w *world) changeUnlink() error {
	p := w.path("file")
	if rapid.Bool().Draw(w.T, "chmod") {
		return errors.Join(unix.Chmod(p, uint32(rapid.IntRange(0, 0o7777).Draw(w.T, "mode"))), os.Remove(p))
	}
	return errors.Join(appendTo(p, w.content()), os.Remove(p))
}

// unlinkChange changes a file through a descriptor whose name is gone. A pipe takes no more than it has room for.
func (w *world) unlinkChange() error {
	f, err := os.OpenFile(w.path("file"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if err := w.pause(); err != nil {
		return err
	}
	_, err = f.Write(w.content())
	return errors.Join(err, f.Chmod(os.FileMode(rapid.IntRange(0, 0o777).Draw(w.T, "mode"))))
}

// linkOutside gives a file of the source a name outside of it.
func (w *world) linkOutside() error { return os.Link(w.path("file"), w.beyond()) }

func (w *world) beyond() string {
	return filepath.Join(w.outside, rapid.SampledFrom(nameSet[:3]).Draw(w.T, "outside"))
}

// changeOutside changes a file through such a name, or takes that away.
func (w *world) changeOutside() error {
	p := w.beyond()
	switch rapid.IntRange(0, 3).Draw(w.T, "what") {
	case 0:
		return appendTo(p, w.content())
	case 1:
		return unix.Chmod(p, uint32(rapid.IntRange(0, 0o7777).Draw(w.T, "mode")))
	case 2:
		return os.Rename(p, w.path("new"))
	}
	return os.Remove(p)
}

// swap exchanges two names by way of a third.
func (w *world) swap() error {
	one, two := w.path("one"), w.path("two")
	third := filepath.Join(w.source, "third")
	return errors.Join(os.Rename(one, third), os.Rename(two, one), os.Rename(third, two))
}

func (w *world) cycle() error {
	one, two, three := w.path("one"), w.path("two"), w.path("three")
	hidden := filepath.Join(w.source, "fourth")
	return errors.Join(os.Rename(three, hidden), os.Rename(two, three), os.Rename(one, two), os.Rename(hidden, one))
}

// parentIntoChild moves a directory out of another one, and that one into it.
func (w *world) parentIntoChild() error {
	child := w.path("child")
	parent := filepath.Dir(child)
	if parent == w.source {
		return syscall.EINVAL
	}
	top := filepath.Join(w.source, filepath.Base(child))
	return errors.Join(os.Rename(child, top), os.Rename(parent, filepath.Join(top, filepath.Base(parent))))
}

// edit changes the replica as somebody else might.
func (w *world) edit() {
	path := func(label string) string { return w.pathIn(w.target, label) }
	ops := []operation{
		{"write", func() error { return writeFile(path("their file"), w.content()) }},
		{"mkdir", func() error { return os.Mkdir(path("their dir"), 0o700) }},
		{"unlink", func() error { return os.Remove(path("their name")) }},
		{"removeall", func() error { return removeTree(path("their tree")) }},
		{"rename", func() error { return os.Rename(path("their from"), path("their to")) }},
		{"link", func() error { return os.Link(path("their old"), path("their new")) }},
		{"chmod", func() error { return unix.Chmod(path("their name"), 0o606) }},
		{"truncate", func() error { return os.Truncate(path("their file"), 5) }},
		{"symlink", func() error { return os.Symlink("theirs", path("their link")) }},
	}
	op := rapid.SampledFrom(ops).Draw(w.T, "edit")
	w.judge(op.name, op.do())
}

func (w *world) appendFile() error { return appendTo(w.path("file"), w.content()) }

func appendTo(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(data)
	return err
}

func (w *world) punch() error {
	f, err := os.OpenFile(w.path("file"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 8192)
}

// replaceFile saves a file as editors do.
func (w *world) replaceFile() error {
	p := w.path("file")
	if err := writeFile(p+".tmp", w.content()); err != nil {
		return err
	}
	return os.Rename(p+".tmp", p)
}

func (w *world) tmpfile() error {
	fd, err := unix.Open(filepath.Dir(w.path("file")), unix.O_TMPFILE|unix.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, w.content()); err != nil {
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, w.path("new"), unix.AT_SYMLINK_FOLLOW)
}

// writeFile is os.WriteFile, except that a FIFO does not block it.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(data)
	return err
}

// removeTree leaves mount points alone: what becomes of the replica of a volume whose place is gone for good is
// for other tests.
func (w *world) removeTree(path string) error {
	if w.holdsPoint(path) {
		return syscall.EBUSY
	}
	return removeTree(path)
}

// removeTree is os.RemoveAll, except that it opens no parent that is a FIFO.
func removeTree(path string) error {
	if info, err := os.Lstat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return syscall.ENOTDIR
	}
	return os.RemoveAll(path)
}
