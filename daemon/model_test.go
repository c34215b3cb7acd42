package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/weirfs/weir/internal/voltest"
)

// TestModel performs random operations on a source while a mirror runs, stops and starts it at random
// points, and compares at each quiet point.
func TestModel(t *testing.T) {
	voltest.RequireRoot(t)
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			from, to := voltest.New(t, pair[0]), voltest.New(t, pair[1])
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				w := &world{
					T: rt, source: filepath.Join(from.Dir, fmt.Sprint("s", n)), target: filepath.Join(to.Dir, fmt.Sprint("r", n)),
					state: filepath.Join(t.TempDir(), fmt.Sprint(n)), tb: t, fallback: n%2 == 0,
				}
				w.run()
			})
		})
	}
}

// world is one source tree with its mirror.
type world struct {
	*rapid.T
	tb                    *testing.T
	source, target, state string
	fallback              bool
	mirror                *running
	serial                int
}

func (w *world) run() {
	must(w, os.Mkdir(w.source, 0o755))
	must(w, os.Mkdir(w.target, 0o755))
	defer func() {
		if w.mirror != nil {
			w.mirror.stop()
		}
		os.RemoveAll(w.source)
		os.RemoveAll(w.target)
	}()
	w.begin()
	rounds := rapid.IntRange(1, 4).Draw(w.T, "rounds")
	for range rounds {
		for range rapid.IntRange(1, 40).Draw(w.T, "operations") {
			w.operation()
		}
		if rapid.IntRange(0, 3).Draw(w.T, "restart") == 0 {
			w.end()
			for range rapid.IntRange(0, 20).Draw(w.T, "operations while stopped") {
				w.operation()
			}
			w.begin()
		}
		w.mirror.equal(w.source, w.target)
	}
	w.mirror.quiet(10 * time.Second)
}

func (w *world) begin() {
	w.mirror = start(w.tb, Options{Source: w.source, Targets: []string{w.target}, State: w.state, Fallback: w.fallback})
}

func (w *world) end() {
	if err := w.mirror.stop(); err != nil {
		w.Fatalf("stop: %v\n%s", err, w.mirror.log)
	}
	w.mirror = nil
}

// must fails on what is a fault of the test. Operations may fail: names collide.
func must(w *world, err error) {
	if err != nil {
		w.Fatalf("%v", err)
	}
}

var nameSet = []string{"a", "b", "c", "d", "new\nline", "\xff\xfe", strings.Repeat("n", 255)}

// path draws a path of up to three components.
func (w *world) path(label string) string {
	depth := rapid.IntRange(1, 3).Draw(w.T, label+" depth")
	p := w.source
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
	ops := []struct {
		name string
		do   func() error
	}{
		{"write", func() error { return writeFile(w.path("file"), w.content()) }},
		{"append", w.appendFile},
		{"truncate", func() error {
			return os.Truncate(w.path("file"), int64(rapid.IntRange(0, 10000).Draw(w.T, "length")))
		}},
		{"punch", w.punch},
		{"mkdir", func() error { return os.Mkdir(w.path("dir"), 0o755) }},
		{"mkdirall", func() error { return os.MkdirAll(w.path("dir"), 0o750) }},
		{"rename", func() error { return os.Rename(w.path("from"), w.path("to")) }},
		{"rename", func() error { return os.Rename(w.path("from"), w.path("to")) }},
		{"exchange", func() error {
			return unix.Renameat2(unix.AT_FDCWD, w.path("one"), unix.AT_FDCWD, w.path("two"), unix.RENAME_EXCHANGE)
		}},
		{"link", func() error { return os.Link(w.path("old"), w.path("new")) }},
		{"unlink", func() error { return os.Remove(w.path("name")) }},
		{"removeall", func() error { return removeTree(w.path("tree")) }},
		{"symlink", func() error { return os.Symlink(w.path("text"), w.path("link")) }},
		{"mknod", func() error { return unix.Mkfifo(w.path("fifo"), 0o600) }},
		{"chmod", func() error { return unix.Chmod(w.path("name"), uint32(rapid.IntRange(0, 0o7777).Draw(w.T, "mode"))) }},
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
		{"pause", func() error {
			time.Sleep(time.Duration(rapid.IntRange(0, 12).Draw(w.T, "ms")) * time.Millisecond)
			return nil
		}},
	}
	op := rapid.SampledFrom(ops).Draw(w.T, "op")
	err := op.do()
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		w.Fatalf("%s: %v", op.name, err)
	}
}

func (w *world) appendFile() error {
	f, err := os.OpenFile(w.path("file"), os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(w.content())
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

// removeTree is os.RemoveAll, except that it opens no parent that is a FIFO.
func removeTree(path string) error {
	if info, err := os.Lstat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return syscall.ENOTDIR
	}
	return os.RemoveAll(path)
}
