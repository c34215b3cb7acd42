package daemon

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestModel performs random operations on a source while a mirror runs, stops and starts it at random
// points, mounts and unmounts, edits the replica meanwhile, loses events, and compares at each quiet point.
func TestModel(t *testing.T) {
	voltest.RequireRoot(t)
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("12"); err != nil { // Of each pair. What takes longer is for make torture.
			t.Fatal(err)
		}
		defer func() { _ = checks.Value.Set(checks.DefValue) }()
	}
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			from, to, second := voltest.New(t, pair[0]), voltest.New(t, pair[1]), voltest.New(t, "ext4")
			volumes := newNested(t)
			home := voltest.New(t, "ext4").Dir
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				w := &world{
					T: rt, source: filepath.Join(from.Dir, fmt.Sprint("s", n)), target: filepath.Join(to.Dir, fmt.Sprint("r", n)),
					state: filepath.Join(t.TempDir(), fmt.Sprint(n)), tb: t, fallback: n%2 == 0, second: second, nested: volumes,
					other: filepath.Join(second.Dir, fmt.Sprint("o", n)), points: map[inodeID]int{}, home: filepath.Join(home, fmt.Sprint(n)),
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

	second *voltest.Volume // carries the target other, and is unmounted at random
	other  string

	nested []*nested
	points map[inodeID]int // directories on which volumes were mounted
	home   string          // what the blind volume stands on
	blind  string          // where it is mounted; "" for none
	lossy  bool
	mix    int
}

func (w *world) run() {
	for _, dir := range []string{w.source, w.target, w.other, w.home} {
		must(w, os.Mkdir(dir, 0o755))
	}
	defer w.clean()
	w.lossy = rapid.IntRange(0, 2).Draw(w.T, "lossy") == 0
	w.mix = rapid.IntRange(0, 3).Draw(w.T, "mix")
	w.mountBlind()
	w.begin()
	rounds := rapid.IntRange(1, 4).Draw(w.T, "rounds")
	for range rounds {
		for range rapid.IntRange(1, 40).Draw(w.T, "operations") {
			w.operation()
		}
		switch rapid.IntRange(0, 4).Draw(w.T, "restart") {
		case 0:
			w.restart()
		case 1:
			w.toggleSecond()
		}
		w.compare()
	}
	if !w.second.Mounted() {
		w.toggleSecond()
	}
	w.compare()
	w.settle()
	w.rsync()
}

// mountBlind mounts a volume that reports no events, or none.
func (w *world) mountBlind() {
	switch rapid.IntRange(0, 4).Draw(w.T, "blind") {
	case 0:
		w.blind = filepath.Join(w.source, "blind")
		voltest.Overlay(w.tb, false, filepath.Join(w.home, "l"), filepath.Join(w.home, "u"), filepath.Join(w.home, "w"), w.blind)
	case 1:
		w.blind = filepath.Join(w.source, "blind")
		voltest.Bindfs(w.tb, w.home, w.blind)
	}
}

func (w *world) clean() {
	if w.mirror != nil {
		_ = w.mirror.stop()
	}
	if w.blind != "" {
		_ = unix.Unmount(w.blind, unix.MNT_DETACH)
	}
	w.unmountAll()
	if !w.second.Mounted() {
		w.second.Mount()
	}
	for _, dir := range []string{w.source, w.target, w.other, w.home} {
		_ = os.RemoveAll(dir)
	}
}

// restart stops the mirror, changes both sides, and starts it again.
func (w *world) restart() {
	w.end()
	for range rapid.IntRange(0, 20).Draw(w.T, "operations while stopped") {
		w.operation()
	}
	for range rapid.IntRange(0, 6).Draw(w.T, "edits of the replica") {
		w.edit()
	}
	w.begin()
}

// toggleSecond unmounts the second target, or mounts it again. Nothing may be written where it was.
func (w *world) toggleSecond() {
	if w.second.Mounted() {
		w.second.Unmount()
		return
	}
	if list, err := os.ReadDir(w.second.Dir); err != nil || len(list) > 0 {
		w.Fatalf("the bare mount point of a target: %v, %v", list, err)
	}
	w.second.Mount()
}

func (w *world) begin() {
	o := Options{
		Source: w.source, Targets: []string{w.target, w.other}, State: w.state, Fallback: w.fallback, ScanInterval: 100 * time.Millisecond,
	}
	if w.lossy {
		o.wrapPlane = func(p weir.Plane) weir.Plane { return lossyPlane{p, uint64(w.mix)} }
	}
	w.mirror = start(w.tb, o)
}

func (w *world) end() {
	m := w.mirror
	w.mirror = nil
	err := m.stop()
	// A volume that is scanned all the time may be in the middle of that.
	if err != nil && (w.second.Mounted() && w.blind == "" || weir.KindOf(err) != weir.KindBehind) {
		w.Fatalf("stop: %v\n%s", err, m.log)
	}
}

// compare waits until the targets that are there equal the source, apart from the places whose volume is away.
func (w *world) compare() {
	targets := []string{w.target}
	if w.second.Mounted() {
		targets = append(targets, w.other)
	}
	away := w.away()
	for _, target := range targets {
		w.mirror.equalBut(w.source, target, func(path string) bool { return away[path] })
	}
}

// settle waits until every unit whose volumes are there is in sync.
func (w *world) settle() {
	w.mirrorless("all is durable", func() bool {
		for _, u := range w.mirror.m.Status().Units {
			if u.Sight == "" && u.Phase != replicate.PhaseInSync && u.Phase != replicate.PhaseSourceAbsent && u.Phase != replicate.PhaseBraked {
				return false
			}
		}
		return true
	})
}

// mirrorless waits for something, and fails the draw rather than the test.
func (w *world) mirrorless(what string, ok func() bool) {
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			text := ""
			if w.mirror != nil {
				text = fmt.Sprintf("%+v\n%s", w.mirror.m.Status(), w.mirror.log)
			}
			w.Fatalf("%s: not within 10 s\n%s", what, text)
		}
	}
}

// rsync asks rsync what it would copy or delete.
func (w *world) rsync() {
	if _, err := exec.LookPath("rsync"); err != nil || len(w.away()) > 0 {
		return
	}
	out, err := exec.Command("rsync", "-niaHAXc", "--delete", "--modify-window=-1", "--exclude=/.weir", "--exclude=lost+found",
		w.source+"/", w.target+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		w.Fatalf("rsync sees differences: %v\n%s", err, out)
	}
}

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
			operation{"mkdir", w.mkdir}, operation{"mount", w.mount}, operation{"pause", w.pause})
	case 2: // Swaps, cycles and parents into children.
		ops = append(ops[:0:0], operation{"mkdirall", w.mkdirAll}, operation{"mkdirall", w.mkdirAll}, operation{"write", w.write},
			operation{"rename", w.rename}, operation{"exchange", w.exchange}, operation{"swap", w.swap}, operation{"cycle", w.cycle},
			operation{"parent into child", w.parentIntoChild}, operation{"link", w.link}, operation{"mount", w.mount}, operation{"pause", w.pause})
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
		{"mount", w.mount},
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
