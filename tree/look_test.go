package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

func TestStatIsLookupWithoutHandle(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir dir; echo x > file; ln -s target link; mkfifo fifo; mknod dev c 7 9")
		d := root(t, v.Dir)
		for _, name := range []string{"dir", "file", "link", "fifo", "dev"} {
			if o, a := got[Object](t)(d.Lookup(name)), got[replica.Attr](t)(d.Stat(name)); a != o.Attr {
				t.Errorf("%s is %+v, want %+v", name, a, o.Attr)
			}
		}
		if a := got[replica.Attr](t)(d.Stat("")); a != got[Object](t)(d.Self()).Attr {
			t.Errorf("itself is %+v", a)
		}
		if _, err := d.Stat("missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := d.Stat("a/b"); weir.KindOf(err) != weir.KindRefused {
			t.Error(err)
		}
		if _, err := d.Readlink("file"); !errors.Is(err, ErrReplaced) {
			t.Error(err)
		}
		f := got[*File](t)(d.OpenFile("file"))
		defer f.Close()
		if o, want := got[Object](t)(f.Stat()), got[Object](t)(d.Lookup("file")); o.Handle != "" || o.Attr != want.Attr {
			t.Errorf("open file is %+v", o)
		}
	})
}

// The handles of the file systems that weir is made for tell the inode number, so two system calls are enough.
func TestHandlesTellInodes(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir dir; echo x > dir/file; sleep 0.03")
		d := root(t, filepath.Join(v.Dir, "dir"))
		start := time.Now()
		h := got[handle.Name](t)(handle.OfName(d.FD(), "file"))
		s := got[at.Stat](t)(at.StatName(d.FD(), "file"))
		if !sameNumber(h, s) || !bornBefore(s, start, time.Now()) {
			t.Errorf("%q of inode %d, mounts %d and %d", h.Handle, s.Ino, h.Mount, s.Mount)
		}
	})
}

func TestSameNumber(t *testing.T) {
	const known = "\x01\x00\x00\x00" + "\x04\x03\x02\x01" + "\xff\xff\xff\xff"
	const subvolumes = "\x01\x00\x00\x00" + "\x00\x01\x00\x00" + "\xff\xff\xff\xff"
	for name, test := range map[string]struct {
		handle string
		stat   at.Stat
		want   bool
	}{
		"same":                {known, at.Stat{Ino: 0x01020304, Mount: 7}, true},
		"same directory":      {known, at.Stat{Ino: 0x01020304, Mount: 7, Mode: replica.TypeDir}, true},
		"another number":      {known, at.Stat{Ino: 0x01020305, Mount: 7}, false},
		"another mount":       {known, at.Stat{Ino: 0x01020304, Mount: 8}, false},
		"root of a mount":     {known, at.Stat{Ino: 0x01020304, Mount: 7, MountRoot: true}, false},
		"unknown handle":      {"\x02" + known[1:], at.Stat{Ino: 0x01020304, Mount: 7}, false},
		"root of a subvolume": {subvolumes, at.Stat{Ino: 256, Mount: 7, Mode: replica.TypeDir}, false},
	} {
		if same := sameNumber(handle.Name{Handle: test.handle, Mount: 7}, test.stat); same != test.want {
			t.Errorf("%s: %v", name, same)
		}
	}
}

func TestBornBefore(t *testing.T) {
	start := time.Now()
	for name, test := range map[string]struct {
		birth at.Time
		end   time.Time
		want  bool
	}{
		"long ago":      {birth(start.Add(-time.Second)), start.Add(time.Microsecond), true},
		"a long look":   {birth(start.Add(-time.Second)), start.Add(time.Hour), true},
		"unknown":       {at.Time{}, start, false},
		"now":           {birth(start), start, false},
		"within a tick": {birth(start.Add(-tick / 2)), start, false},
		"in the future": {birth(start.Add(time.Hour)), start, false},
	} {
		if is := bornBefore(at.Stat{Birth: test.birth}, start, test.end); is != test.want {
			t.Errorf("%s: %v", name, is)
		}
	}
}

func birth(t time.Time) at.Time { return at.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())} }

// Whatever takes a name while it is looked at, attributes and handle are of one inode.
func TestLookupMixesNothing(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			v := voltest.New(t, fs)
			shell(t, v.Dir, "mkdir dir; cd dir; echo 1 > file; echo 22 > twin; sleep 0.03")
			if fs == "btrfs" {
				shell(t, v.Dir, "btrfs -q subvolume create dir/sub; sleep 0.1; btrfs -q subvolume create dir/sub2; sleep 0.03")
			}
			d := root(t, v.Dir+"/dir")
			stop := make(chan struct{})
			var other sync.WaitGroup
			other.Go(func() { recycle(v.Dir+"/dir/", stop) })
			seen := map[uint64]bool{}
			for deadline := time.Now().Add(400 * time.Millisecond); time.Now().Before(deadline); {
				for _, name := range []string{"file", "new", "sub"} {
					o, err := d.Lookup(name)
					if err != nil {
						continue
					}
					seen[o.Ino] = true
					if p, err := d.Probe(o.Handle); err == nil && (p.Ino != o.Ino || p.Dev != o.Dev || p.Birth != o.Birth) {
						t.Fatalf("%s: %+v has the handle of %+v", name, o, p)
					}
				}
			}
			close(stop)
			other.Wait()
			if len(seen) < 2 {
				t.Errorf("no race: inodes %v", seen)
			}
		})
	}
}

// recycle lets old inodes change places, and makes new ones that get the number of the one before.
func recycle(dir string, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		_ = unix.Renameat2(unix.AT_FDCWD, dir+"file", unix.AT_FDCWD, dir+"twin", unix.RENAME_EXCHANGE)
		_ = unix.Renameat2(unix.AT_FDCWD, dir+"sub", unix.AT_FDCWD, dir+"sub2", unix.RENAME_EXCHANGE)
		_ = unix.Unlink(dir + "new")
		_ = unix.Mknod(dir+"new", replica.TypeFile|0o600, 0)
	}
}

func TestOpenObject(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir dir; echo old > dir/file; echo other > dir/other; mkfifo dir/fifo; ln -s file dir/link")
		d := root(t, v.Dir+"/dir")
		file := got[Object](t)(d.Lookup("file"))
		read := func(f *File, err error) string {
			t.Helper()
			must(t, err)
			defer f.Close()
			buf := make([]byte, 10)
			n, _ := f.ReadAt(buf, 0)
			return string(buf[:n])
		}
		if text := read(d.OpenObject("file", file)); text != "old\n" {
			t.Errorf("read %q", text)
		}
		for _, name := range []string{"fifo", "link"} {
			if _, err := d.OpenObject(name, got[Object](t)(d.Lookup(name))); !errors.Is(err, ErrNotFile) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Whatever has the name now, that object and nothing else is opened.
		must(t, Rename(d, "fifo", d, "file", Exchange))
		if text := read(d.OpenObject("file", file)); text != "old\n" {
			t.Errorf("read %q", text)
		}
		noHandle := file
		noHandle.Handle = ""
		if _, err := d.OpenObject("file", noHandle); !errors.Is(err, ErrNotFile) {
			t.Errorf("a FIFO by name: %v", err)
		}
		if text := read(d.OpenObject("other", noHandle)); text != "other\n" {
			t.Errorf("read %q", text)
		}
		must(t, d.Unlink("fifo"))
		deadline := time.Now().Add(5 * time.Second)
		for err := error(nil); !errors.Is(err, ErrStale); {
			var f *File
			if f, err = d.OpenObject("file", file); err == nil {
				f.Close()
			}
			if time.Now().After(deadline) {
				t.Fatalf("gone: %v", err)
			}
		}
	})
}

// What is mounted on a name belongs to another file system, where its handle leads elsewhere.
func TestOpenObjectOnMount(t *testing.T) {
	v, other := voltest.New(t, "ext4"), voltest.New(t, "ext4")
	shell(t, v.Dir, "echo own > file")
	shell(t, other.Dir, "echo other > file")
	d := root(t, v.Dir)
	must(t, unix.Mount(other.Dir+"/file", v.Dir+"/file", "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(v.Dir+"/file", 0)) })
	o := got[Object](t)(d.Lookup("file"))
	if !o.MountRoot {
		t.Error("no root of a mount")
	}
	if f, err := d.OpenObject("file", o); !errors.Is(err, unix.EXDEV) {
		t.Errorf("opened %v: %v", f, err)
	}
}

func TestNoAttributesAreNotNil(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir dir; echo x > file; ln -s x link")
		d := root(t, v.Dir)
		f := got[*File](t)(d.OpenFile("file"))
		defer f.Close()
		for name, x := range map[string]Xattrs{
			"dir": got[Xattrs](t)(d.Xattrs("dir")), "link": got[Xattrs](t)(d.Xattrs("link")),
			"itself": got[Xattrs](t)(d.Xattrs("")), "file": got[Xattrs](t)(f.Xattrs()),
		} {
			if x == nil || len(x) > 0 {
				t.Errorf("%s: %#v", name, x)
			}
		}
		// So that the last one goes.
		shell(t, v.Dir, "setfattr -h -n trusted.a -v 1 link")
		if _, err := d.SetMeta("link", got[replica.Attr](t)(d.Stat("link")), got[Xattrs](t)(d.Xattrs("dir")), MetaOptions{}); err != nil {
			t.Fatal(err)
		}
		if x := got[Xattrs](t)(d.Xattrs("link")); len(x) > 0 {
			t.Errorf("left: %q", x)
		}
	})
}

// A new file is not always as bare as CreateTemp wants it.
func TestSetMetaOnTemporary(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, v.Dir, "mkdir plain group list; chgrp 77 group; chmod g+s group; setfacl -d -m u:4711:rwx list")
		for i, dir := range []string{"plain", "group", "list"} {
			d := root(t, filepath.Join(v.Dir, dir))
			for j, want := range []replica.Attr{
				{Mode: replica.TypeFile | 0o644},
				{Mode: replica.TypeFile | 0o600},
				{Mode: replica.TypeFile | 0o1407, UID: 1234, GID: 5678},
				{Mode: replica.TypeFile | 0o6755, UID: 1234, GID: 5678},
			} {
				want.Mtime = replica.Time{Sec: int64(1_000_000_000 + i), Nsec: 123_456_789}
				f := got[*File](t)(d.CreateTemp(fmt.Sprint(j)))
				u, err := f.SetMeta(want, Xattrs{}, MetaOptions{Times: true})
				if err != nil || len(u) > 0 {
					t.Errorf("%s: %v, %v", dir, u, err)
				}
				o := got[Object](t)(f.Stat())
				if x := got[Xattrs](t)(f.Xattrs()); len(x) > 0 || o.Mode != want.Mode || o.UID != want.UID || o.GID != want.GID || o.Mtime != want.Mtime {
					t.Errorf("%s: %+v, want %+v, attributes %q", dir, o.Attr, want, x)
				}
				f.Close()
			}
		}
	})
	t.Run("coarse times", func(t *testing.T) {
		d := root(t, voltest.New(t, "ext4", voltest.Mkfs("-I", "128")).Dir)
		f := got[*File](t)(d.CreateTemp("file"))
		defer f.Close()
		if u, err := f.SetMeta(wanted(replica.TypeFile), Xattrs{}, MetaOptions{Times: true}); err != nil || len(u) != 1 || u[0].Attribute != "mtime" {
			t.Errorf("%v, %v", u, err)
		}
	})
	t.Run("opened for reading", func(t *testing.T) {
		dir := t.TempDir()
		shell(t, dir, "echo x > file")
		f := got[*File](t)(root(t, dir).OpenFile("file"))
		defer f.Close()
		if _, err := f.SetMeta(wanted(replica.TypeFile), nil, MetaOptions{}); err == nil {
			t.Error("changed")
		}
	})
}
