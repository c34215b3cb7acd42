package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

func command(dir, script string) *exec.Cmd {
	c := exec.Command("bash", "-ec", script)
	c.Dir = dir
	return c
}

func TestNamesOfAnyBytes(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		d := root(t, v.Dir)
		names := []string{"a\nb", "\xff\xfe", strings.Repeat("n", 255), " ", "-rf", "\x1b[2J", "日本"}
		for _, name := range names {
			must(t, d.Mkdir(name))
			if o := got[Object](t)(d.Lookup(name)); !o.IsDir() || o.Perm() != 0o700 {
				t.Errorf("%q: mode %o", name, o.Mode)
			}
		}
		var listed []string
		must(t, d.List(func(name string, typ uint32) error {
			if typ != replica.TypeDir {
				t.Errorf("%q has type %o", name, typ)
			}
			listed = append(listed, name)
			return nil
		}))
		slices.Sort(names)
		listed = slices.DeleteFunc(listed, func(n string) bool { return n == LostFound })
		if slices.Sort(listed); !slices.Equal(listed, names) {
			t.Errorf("listed %q, want %q", listed, names)
		}
	})
}

func TestNamesThatAreNoComponents(t *testing.T) {
	d := root(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00", "../x", "a/"} {
		for what, err := range map[string]error{
			"mkdir":   d.Mkdir(name),
			"unlink":  d.Unlink(name),
			"symlink": d.Symlink("x", name),
			"rename":  Rename(d, "x", d, name, 0),
			"link":    Link(d, name, d, "y"),
			"lookup":  second(d.Lookup(name)),
			"open":    second(d.OpenFile(name)),
			"opendir": second(d.OpenDir(name)),
			"create":  second(d.CreateTemp(name)),
			"walk":    second(d.Walk([]string{name})),
			"all":     RemoveAll(d, name),
		} {
			if weir.KindOf(err) != weir.KindRefused || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestLookupProvesAbsenceOnlyByENOENT(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		d := root(t, v.Dir)
		if _, err := d.Lookup("missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		if _, err := d.Lookup(strings.Repeat("n", 256)); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("too long: %v", err)
		}
		shell(t, v.Dir, "echo x > file")
		f := got[*File](t)(d.OpenFile("file"))
		defer f.Close()
		if _, err := (&Dir{fd: f.fd}).Lookup("x"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("below a file: %v", err)
		}
	})
}

func TestObjectsAndHandles(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, `mkdir dir; echo hello > dir/file; ln dir/file dir/twin; ln -s target link; mkfifo fifo; mknod dev c 7 9
			touch -d '2001-02-03 04:05:06.123456789 UTC' dir/file; chmod 4751 dir/file; chown -h 12:34 link`)
		d := root(t, v.Dir)
		dir := got[*Dir](t)(d.OpenDir("dir"))
		defer dir.Close()
		file := got[Object](t)(dir.Lookup("file"))
		twin := got[Object](t)(dir.Lookup("twin"))
		if file != twin || file.Nlink != 2 || file.Handle == "" {
			t.Errorf("file %+v, twin %+v", file, twin)
		}
		want := replica.Time{Sec: 981173106, Nsec: 123456789}
		if file.Mtime != want || file.Size != 6 || file.Birth == (replica.Time{}) {
			t.Errorf("file %+v", file)
		}
		if l := got[Object](t)(d.Lookup("link")); l.UID != 12 || l.GID != 34 || l.Type() != replica.TypeLink || l.Size != 6 {
			t.Errorf("link %+v", l)
		}
		if o := got[Object](t)(d.Lookup("dev")); o.Rdev != unix.Mkdev(7, 9) || o.Type() != replica.TypeChar {
			t.Errorf("device %+v", o)
		}
		if text := got[string](t)(d.Readlink("link")); text != "target" {
			t.Errorf("text %q", text)
		}
		if _, err := dir.Readlink("file"); err == nil {
			t.Error("a file has a text")
		}

		// By handle, wherever it has been moved.
		self := got[Object](t)(dir.Self())
		shell(t, v.Dir, "mkdir -p x/y; mv dir x/y/z")
		again := got[*Dir](t)(d.OpenHandle(self.Handle))
		defer again.Close()
		if o := got[Object](t)(again.Lookup("file")); o.Handle != file.Handle {
			t.Error("another file by handle")
		}
		parent := got[*Dir](t)(again.Parent())
		defer parent.Close()
		if _, err := parent.Lookup("z"); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"link", "fifo", "dev"} {
			o := got[Object](t)(d.Lookup(name))
			if p := got[Object](t)(d.Probe(o.Handle)); p != o {
				t.Errorf("probed %+v, want %+v", p, o)
			}
		}
		for _, err := range []error{
			again.Mkdir("n"), again.Unlink("file"), Rename(again, "file", d, "f", 0), Link(again, "file", d, "f"),
			second(again.CreateTemp("n")), second(again.SetMeta("file", file.Attr, nil, MetaOptions{})), parent.Rmdir("z"),
		} {
			if !errors.Is(err, ErrByHandle) {
				t.Errorf("by handle: %v", err)
			}
		}
		if _, err := d.OpenHandle(file.Handle); err == nil || errors.Is(err, ErrStale) {
			t.Errorf("a file as directory: %v", err)
		}
	})
}

func TestHandleOfWhatIsGone(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "echo x > file; mkdir dir")
		d := root(t, v.Dir)
		file := got[Object](t)(d.Lookup("file"))
		dir := got[Object](t)(d.Lookup("dir"))
		f := got[*File](t)(d.OpenFileHandle(file.Handle))
		must(t, d.Unlink("file"))
		must(t, d.Rmdir("dir"))
		if o, err := d.Probe(file.Handle); err != nil || o.Nlink != 0 {
			t.Errorf("open and unlinked: %v, %+v", err, o)
		}
		if o := got[Object](t)(f.Stat()); o.Nlink != 0 {
			t.Errorf("open and unlinked: %+v", o)
		}
		f.Close()
		// The kernel may drop the inode some time after the last close.
		deadline := time.Now().Add(5 * time.Second)
		for {
			_, err := d.Probe(file.Handle)
			if errors.Is(err, ErrStale) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("unlinked: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if _, err := d.OpenHandle(dir.Handle); !errors.Is(err, ErrStale) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removed directory: %v", err)
		}
		for _, h := range []weir.Handle{"", "abc", "abcd", weir.Handle(strings.Repeat("x", 200)), "\x01\x00\x00\x00\x00"} {
			if _, err := d.Probe(h); err == nil {
				t.Errorf("handle %q leads somewhere", h)
			}
		}
	})
}

func TestOpenFileOpensNothingElse(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, `mkfifo fifo; mknod dev c 1 3; mkdir dir; echo secret > file; ln -s file link; ln -s dir dlink
			python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")' || mkfifo socket`)
		d := root(t, v.Dir)
		for _, name := range []string{"fifo", "dev", "dir", "link", "socket"} {
			if _, err := d.OpenFile(name); !errors.Is(err, ErrNotFile) {
				t.Errorf("%s: %v", name, err)
			}
			if name != "socket" && name != "link" {
				o := got[Object](t)(d.Lookup(name))
				if _, err := d.OpenFileHandle(o.Handle); !errors.Is(err, ErrNotFile) {
					t.Errorf("%s by handle: %v", name, err)
				}
			}
		}
		if _, err := d.OpenDir("dlink"); err == nil {
			t.Error("followed a link to a directory")
		}
		if _, err := d.Walk([]string{"dlink"}); err == nil {
			t.Error("walked through a link")
		}
		if _, err := d.CreateTemp("link"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create at a link: %v", err)
		}
	})
}

func TestNoXdev(t *testing.T) {
	v := voltest.New(t, "ext4")
	inner := voltest.New(t, "tmpfs", voltest.At(filepath.Join(v.Dir, "mnt")))
	shell(t, inner.Dir, "echo x > file")
	d := root(t, v.Dir)
	if _, err := d.OpenDir("mnt"); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("mount point: %v", err)
	}
	if err := RemoveAll(d, "mnt"); err == nil {
		t.Error("removed a mount")
	}
	if _, err := os.Stat(inner.Dir + "/file"); err != nil {
		t.Error(err)
	}
	if o := got[Object](t)(d.Lookup("mnt")); !o.MountRoot {
		t.Error("a mount point is no mount root")
	}
}

func TestDepth(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		const depth = 2000
		d := root(t, v.Dir)
		name := strings.Repeat("d", 40)
		var names []string
		here := got[*Dir](t)(d.Walk(nil))
		for range depth {
			must(t, here.Mkdir(name))
			next := got[*Dir](t)(here.OpenDir(name))
			here.Close()
			here = next
			names = append(names, name)
		}
		self := got[Object](t)(here.Self())
		here.Close()
		end := got[*Dir](t)(d.Walk(names))
		if o := got[Object](t)(end.Self()); o.Ino != self.Ino {
			t.Error("walked elsewhere")
		}
		end.Close()
		if _, err := d.Walk(append(slices.Clone(names), "missing")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("walk to nothing: %v", err)
		}
		must(t, RemoveAll(d, name))
		if _, err := d.Lookup(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removed: %v", err)
		}
	})
}

func TestRemoveAll(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, `mkdir -p victim t/a/b/c t/many; echo x > victim/file; ln -s ../../victim t/a/link; mkfifo t/fifo
			for i in $(seq 3000); do : ; done; cd t/many; seq -f 'f%g' 2000 | xargs touch; seq -f 'd%g/x' 1500 | xargs mkdir -p`)
		if v.FS == "btrfs" {
			shell(t, v.Dir, "btrfs -q subvolume create t/a/sub; echo x > t/a/sub/file")
		}
		d := root(t, v.Dir)
		must(t, RemoveAll(d, "t"))
		must(t, RemoveAll(d, "t"))
		if _, err := d.Lookup("t"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("t: %v", err)
		}
		if _, err := os.Stat(v.Dir + "/victim/file"); err != nil {
			t.Error(err)
		}
	})
}

func TestImmutableIsNamed(t *testing.T) {
	v := voltest.New(t, "ext4")
	shell(t, v.Dir, "echo x > file; mkdir -p dir/sub; echo y > log; chattr +i file dir; chattr +a log")
	t.Cleanup(func() { command(v.Dir, "chattr -i -a file dir log").Run() })
	d := root(t, v.Dir)
	dir := got[*Dir](t)(d.OpenDir("dir"))
	defer dir.Close()
	file := got[Object](t)(d.Lookup("file"))
	if !file.Immutable {
		t.Error("not seen as immutable")
	}
	want := file.Attr
	want.Mode ^= 0o111
	for _, err := range []error{
		d.Unlink("file"), Rename(d, "file", d, "g", 0), Link(d, "file", d, "g"), dir.Mkdir("new"), dir.Rmdir("sub"),
		d.Unlink("log"), second(d.SetMeta("file", want, nil, MetaOptions{})), second(dir.CreateTemp("x")), RemoveAll(d, "file"),
	} {
		if !errors.Is(err, ErrImmutable) || !errors.Is(err, syscall.EPERM) {
			t.Errorf("%v", err)
		}
	}
}

func TestRenameAndLink(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir x y; echo 1 > x/a; echo 2 > y/b")
		d := root(t, v.Dir)
		x, y := got[*Dir](t)(d.OpenDir("x")), got[*Dir](t)(d.OpenDir("y"))
		defer x.Close()
		defer y.Close()
		if err := Rename(x, "a", y, "b", NoReplace); !errors.Is(err, fs.ErrExist) {
			t.Errorf("no replace: %v", err)
		}
		must(t, Rename(x, "a", y, "b", Exchange))
		must(t, Link(x, "a", y, "c"))
		must(t, Rename(x, "a", y, "b", 0))
		shell(t, v.Dir, "test ! -e x/a; test $(cat y/b) = 2; test $(cat y/c) = 2; test y/b -ef y/c")
		must(t, x.Symlink("\xff/../../..", "s"))
		if text := got[string](t)(x.Readlink("s")); text != "\xff/../../.." {
			t.Errorf("text %q", text)
		}
		must(t, x.Mknod("p", replica.TypeFIFO|0o600, 0))
		must(t, x.Mknod("k", replica.TypeSocket|0o600, 0))
		must(t, x.Mknod("b", replica.TypeBlock|0o600, unix.Mkdev(300, 70000)))
		if o := got[Object](t)(x.Lookup("b")); o.Rdev != unix.Mkdev(300, 70000) {
			t.Errorf("device %x", o.Rdev)
		}
		must(t, d.Syncfs())
		must(t, x.Sync())
	})
}

func TestListStreams(t *testing.T) {
	v := voltest.New(t, "tmpfs")
	d := root(t, v.Dir)
	const count = 20000
	for i := range count {
		must(t, d.Mknod(fmt.Sprint("n", i), replica.TypeFile|0o600, 0))
	}
	seen := map[string]bool{}
	must(t, d.List(func(name string, _ uint32) error { seen[name] = true; return nil }))
	if len(seen) != count {
		t.Errorf("%d names, want %d", len(seen), count)
	}
	stop := errors.New("stop")
	calls := 0
	if err := d.List(func(string, uint32) error { calls++; return stop }); err != stop || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestHasWriter(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		path := v.Dir + "/file"
		must(t, os.WriteFile(path, make([]byte, 8192), 0o600))
		d := root(t, v.Dir)
		f := got[*File](t)(d.OpenFile("file"))
		defer f.Close()
		expect := func(when string, want bool) {
			t.Helper()
			if has := got[bool](t)(f.HasWriter()); has != want {
				t.Errorf("%s: %v", when, has)
			}
		}
		expect("idle", false)
		w := got[*os.File](t)(os.OpenFile(path, os.O_RDWR, 0))
		expect("open for writing", true)
		m := got[[]byte](t)(unix.Mmap(int(w.Fd()), 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED))
		w.Close()
		expect("mapped", true)
		must(t, unix.Munmap(m))
		expect("unmapped", false)
		r := got[*os.File](t)(os.Open(path))
		defer r.Close()
		expect("open for reading", false)
		must(t, f.Datasync())
	})
}

// An xfs that has been shut down says ESTALE of inodes that it has on disk.
func TestShutDownIsNotStale(t *testing.T) {
	v := voltest.New(t, "xfs")
	shell(t, v.Dir, "mkdir dir; echo x > file; sync")
	d := root(t, v.Dir)
	file, dir := got[Object](t)(d.Lookup("file")), got[Object](t)(d.Lookup("dir"))
	shell(t, v.Dir, "echo 2 > /proc/sys/vm/drop_caches")
	f := got[*os.File](t)(os.Open(v.Dir))
	must(t, shutdown(f))
	f.Close()
	for what, err := range map[string]error{
		"probe":  second(d.Probe(file.Handle)),
		"open":   second(d.OpenHandle(dir.Handle)),
		"file":   second(d.OpenFileHandle(file.Handle)),
		"lookup": second(d.Lookup("missing")),
		"list":   d.List(func(string, uint32) error { return nil }),
	} {
		if !errors.Is(err, syscall.EIO) || errors.Is(err, ErrStale) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
