package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// deepen makes directories one in the other, which no path reaches, with a file in the last.
func deepen(t testing.TB, top string, levels int, text string) {
	t.Helper()
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for n := 0; n < levels && err == nil; n++ {
		if err = unix.Mkdirat(fd, "level", 0o755); err == nil {
			var next int
			next, err = unix.Openat(fd, "level", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
			unix.Close(fd)
			fd = next
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY, 0o644)
	if err == nil {
		_, err = unix.Write(f, []byte(text))
		err = errors.Join(err, unix.Close(f))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeepTree has a tree of 2,000 levels at the start and one of 500 live, renames one at its top and deletes the
// other.
func TestDeepTree(t *testing.T) {
	voltest.RequireRoot(t)
	const levels = 2000
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
	deepen(t, mkdir(t, filepath.Join(src, "first")), levels, "1")
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	comparer.Await(t, src, dst, time.Minute, comparer.Options{})
	r.quiet(time.Minute)
	deepen(t, mkdir(t, filepath.Join(src, "live")), levels/4, "2")
	comparer.Await(t, src, dst, time.Minute, comparer.Options{})
	r.quiet(time.Minute)
	before := inode(t, filepath.Join(dst, "first/level/level"))
	rename(t, filepath.Join(src, "first"), filepath.Join(src, "renamed"))
	if err := os.RemoveAll(filepath.Join(src, "live")); err != nil {
		t.Fatal(err)
	}
	comparer.Await(t, src, dst, time.Minute, comparer.Options{})
	if inode(t, filepath.Join(dst, "renamed/level/level")) != before {
		t.Error("the tree was copied instead of renamed")
	}
	r.quiet(time.Minute) // What was deleted is taken apart from the bottom.
	r.spotless(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestRenameOfATreeTouchesNothingInIt renames a directory of many files: below it not even a ctime changes.
func TestRenameOfATreeTouchesNothingInIt(t *testing.T) {
	voltest.RequireRoot(t)
	const files = 10_000
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "xfs").Dir, "s")), voltest.New(t, "ext4", voltest.Size(256<<20), voltest.Mkfs("-N", "65536")).Dir
	many := mkdir(t, filepath.Join(src, "a/many"))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	for n := range files {
		write(t, filepath.Join(many, fmt.Sprintf("a name that is not short %d", n)), "")
	}
	r.quiet(60 * time.Second)
	r.equal(src, dst)
	replica := filepath.Join(dst, "a/many")
	before := ctimes(t, replica)
	rename(t, filepath.Join(src, "a"), filepath.Join(src, "b"))
	r.await("the rename", func() bool { return !absent(filepath.Join(dst, "b")) })
	r.quiet(20 * time.Second)
	after := ctimes(t, filepath.Join(dst, "b/many"))
	if len(before) != files || len(after) != files {
		t.Fatalf("%d files became %d", len(before), len(after))
	}
	for name, stat := range before {
		if after[name] != stat {
			t.Fatalf("%s was touched: %v became %v", name, stat, after[name])
		}
	}
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

type touched struct {
	ino   uint64
	ctime syscall.Timespec
}

func ctimes(t testing.TB, dir string) map[string]touched {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]touched)
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		found[e.Name()] = touched{stat.Ino, stat.Ctim}
	}
	return found
}

// TestSparseFileOfEightExbibytes copies as little of the largest file as is data.
func TestSparseFileOfEightExbibytes(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "xfs").Dir, "s")), voltest.New(t, "xfs").Dir
	const size = 1<<63 - 1
	islands := []int64{0, 1 << 40, 1 << 62, size - 7}
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	f, err := os.Create(filepath.Join(src, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for n, at := range islands {
		text := fmt.Sprint("island", n)
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
		r.await(text, func() bool {
			got, err := os.Open(filepath.Join(dst, "f"))
			if err != nil {
				return false
			}
			defer got.Close()
			info, err := got.Stat()
			read := make([]byte, len(text))
			_, readErr := got.ReadAt(read, at)
			return err == nil && readErr == nil && info.Size() == size && string(read) == text
		})
	}
	r.quiet(10 * time.Second)
	info, err := os.Stat(filepath.Join(dst, "f"))
	if err != nil || info.Sys().(*syscall.Stat_t).Blocks*512 > 1<<20 {
		t.Errorf("the replica is not sparse: %v %v", info.Sys(), err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestOptionsLeaveOutDevicesAndPrivileges(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
	prepare := func(in string) {
		d := dir(mkdir(t, filepath.Join(src, in)))
		err := errors.Join(
			some("setuid", "capable", "both", "d/")(d), shell("chown 7:8 setuid; chmod 6755 setuid both; chmod 2775 d; setcap cap_chown+p capable")(d),
			unix.Mknod(d.at("char"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))), unix.Mknod(d.at("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 3))),
			fifo(d.at("fifo")),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	prepare("at the start")
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), NoDevices: true, NoPrivileges: true}
	r := start(t, o)
	prepare("live")
	r.quiet(10 * time.Second)
	for _, in := range []string{"at the start", "live"} {
		at := func(name string) string { return filepath.Join(dst, in, name) }
		r.await(in, func() bool { return !absent(at("fifo")) && !absent(at("both")) && !absent(at("d")) })
		r.quiet(10 * time.Second)
		for name, mode := range map[string]uint32{"setuid": 0o755, "both": 0o755, "d": 0o2775} {
			var stat unix.Stat_t
			if err := unix.Lstat(at(name), &stat); err != nil || stat.Mode&0o7777 != mode {
				t.Errorf("%s: mode %04o, want %04o (%v)", at(name), stat.Mode&0o7777, mode, err)
			}
		}
		if n, err := unix.Getxattr(at("capable"), "security.capability", make([]byte, 64)); err == nil {
			t.Errorf("%s has a capability of %d bytes", at("capable"), n)
		}
		if !absent(at("char")) || !absent(at("block")) {
			t.Error("devices were copied")
		}
	}
	if list := r.listed(); len(list) > 0 {
		t.Errorf("what was left out is complained of: %q", list)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	o.NoDevices, o.NoPrivileges = false, false
	r = start(t, o)
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestRootOfAVolume mirrors a volume from its root, with what a file system check keeps there.
func TestRootOfAVolume(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "ext4").Dir
	write(t, filepath.Join(src, "lost+found/#12"), "found")
	write(t, filepath.Join(src, "f"), "1")
	write(t, filepath.Join(mkdir(t, filepath.Join(src, "d/lost+found")), "g"), "an ordinary name elsewhere")
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.equal(src, dst)
	write(t, filepath.Join(src, "lost+found/#13"), "found")
	write(t, filepath.Join(src, "f"), strings.Repeat("2", 10))
	r.awaitText(filepath.Join(dst, "f"), "2222222222")
	r.spotless(src, dst)
	if list, err := os.ReadDir(filepath.Join(dst, "lost+found")); err != nil || len(list) > 0 {
		t.Errorf("lost+found was copied: %v %v", list, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
