package vmtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// changer changes a tree and fails the test on any error. Its names are relative to dir.
type changer struct {
	t   testing.TB
	dir string
}

func (c changer) path(name string) string { return filepath.Join(c.dir, name) }

func (c changer) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c changer) write(name, text string) {
	c.t.Helper()
	c.must(os.MkdirAll(filepath.Dir(c.path(name)), 0o755))
	c.must(os.WriteFile(c.path(name), []byte(text), 0o644))
}

func (c changer) open(name string, do func(*os.File)) {
	c.t.Helper()
	file, err := os.OpenFile(c.path(name), os.O_RDWR|os.O_CREATE, 0o644)
	c.must(err)
	do(file)
	c.must(file.Close())
}

// acl is the value of system.posix_acl_access (include/uapi/linux/posix_acl_xattr.h) for u::rw-,u:1234:r--,
// g::r--,m::r--,o::---.
const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xd2\x04\x00\x00" +
	"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"

// populate makes one of each kind of thing.
func (c changer) populate() {
	c.t.Helper()
	for i := range 40 {
		c.write(fmt.Sprintf("many/%d/%d", i%5, i), strings.Repeat("x", i*100))
	}
	c.write("big", strings.Repeat("0123456789abcdef", 1<<17))
	c.open("sparse", func(f *os.File) {
		_, err := f.WriteAt([]byte("end"), 4<<20)
		c.must(err)
	})
	c.write("linked", "two names")
	c.must(os.Link(c.path("linked"), c.path("many/linked too")))
	c.must(os.Symlink("linked", c.path("symbolic")))
	c.must(unix.Mkfifo(c.path("fifo"), 0o640))
	c.must(unix.Mknod(c.path("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	c.write("odd\nname\xff \\", "any byte")
	c.write("setuid", "x")
	c.must(os.Chown(c.path("setuid"), 1, 2))
	c.must(unix.Chmod(c.path("setuid"), 0o6751))
	c.write("attributes", "x")
	c.must(unix.Setxattr(c.path("attributes"), "user.a", []byte("1"), 0))
	c.must(unix.Setxattr(c.path("attributes"), "trusted.b", []byte("2"), 0))
	c.must(unix.Setxattr(c.path("attributes"), "system.posix_acl_access", []byte(acl), 0))
	c.must(os.MkdirAll(c.path("deep/er/and/deeper"), 0o700))
	c.must(os.Chtimes(c.path("deep"), time.Unix(1, 2), time.Unix(3, 456789)))
}

// change makes a change of every kind in what populate has made, or an earlier change has left.
func (c changer) change(round int) {
	c.t.Helper()
	mark := fmt.Sprintf("round %d", round)
	c.content(mark)
	c.names(mark)
	c.metadata(mark)
}

func (c changer) content(mark string) {
	c.t.Helper()
	c.write("new "+mark, mark)
	c.open("big", func(f *os.File) {
		_, err := f.WriteAt([]byte(mark), 300_000)
		c.must(err)
		_, err = f.Seek(0, 2)
		c.must(err)
		_, err = f.WriteString(mark)
		c.must(err)
	})
	c.open("sparse", func(f *os.File) {
		c.must(unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4<<20, 4096))
		c.must(f.Truncate(5 << 20))
		_, err := f.WriteAt([]byte(mark), 1<<20)
		c.must(err)
	})
	// Within one tick of the clock, and always of one size: no time stamp tells the last from the first.
	for i := range 60 {
		c.write("rewritten", fmt.Sprintf("%s, %03d", mark, i))
	}
	c.open("mapped", func(f *os.File) {
		c.must(f.Truncate(8192))
		memory, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		c.must(err)
		copy(memory, mark)
		c.must(unix.Munmap(memory))
	})
	c.open("copied", func(f *os.File) {
		from, err := os.Open(c.path("big"))
		c.must(err)
		defer from.Close()
		_, err = f.ReadFrom(from)
		c.must(err)
	})
}

func (c changer) names(mark string) {
	c.t.Helper()
	c.write("to move/below/file", mark)
	c.must(os.Rename(c.path("to move"), c.path("many/moved "+mark)))
	c.must(os.Rename(c.path("many/0"), c.path("many/swap")))
	c.must(os.Rename(c.path("many/1"), c.path("many/0")))
	c.must(os.Rename(c.path("many/swap"), c.path("many/1")))
	at := func(a, b string, flags uint) {
		c.must(unix.Renameat2(unix.AT_FDCWD, c.path(a), unix.AT_FDCWD, c.path(b), flags))
	}
	at("linked", "attributes", unix.RENAME_EXCHANGE)
	c.write("short life", mark)
	c.must(os.Remove(c.path("short life")))
	c.write("over", mark)
	c.must(os.Rename(c.path("over"), c.path("replaced")))
	c.must(os.RemoveAll(c.path("many/2")))
	c.write("many/2/again", mark)
	c.must(os.Link(c.path("replaced"), c.path("link "+mark)))
	c.must(os.Remove(c.path("symbolic")))
	c.must(os.Symlink("nowhere "+mark, c.path("symbolic")))
	c.must(os.Remove(c.path("fifo")))
	c.must(os.Mkdir(c.path("fifo"), 0o711))
	c.must(os.Remove(c.path("fifo")))
	c.must(unix.Mkfifo(c.path("fifo"), 0o600))
	c.nameless("linked late " + mark)
}

// nameless gives a name to a file that has been written without one.
func (c changer) nameless(name string) {
	c.t.Helper()
	n, err := unix.Open(c.dir, unix.O_TMPFILE|unix.O_RDWR, 0o644)
	c.must(err)
	_, err = unix.Write(n, bytes.Repeat([]byte(name), 10))
	c.must(err)
	c.must(unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", n), unix.AT_FDCWD, c.path(name), unix.AT_SYMLINK_FOLLOW))
	c.must(unix.Close(n))
}

func (c changer) metadata(mark string) {
	c.t.Helper()
	c.must(os.Chtimes(c.path("setuid"), time.Time{}, time.Unix(int64(len(mark)), 123456789)))
	c.must(os.Chmod(c.path("deep/er"), 0o750))
	c.must(unix.Setxattr(c.path("deep/er"), "user.mark", []byte(mark), 0))
	c.must(os.Chown(c.path("null"), 7, 8))
	c.must(os.Lchown(c.path("symbolic"), 9, 10))
	c.write("attributed", mark)
	c.must(unix.Setxattr(c.path("attributed"), "user.gone", []byte(mark), 0))
	c.must(unix.Removexattr(c.path("attributed"), "user.gone"))
	c.must(unix.Setxattr(c.path("attributed"), "system.posix_acl_access", []byte(acl), 0))
}
