package fanotify

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

func newTestGroup(t *testing.T) *Group {
	t.Helper()
	voltest.RequireRoot(t)
	g, err := NewGroup(InitObserve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func openDir(t *testing.T, dir string) *os.File {
	t.Helper()
	file, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func TestGroupTellsOfAMarkedVolume(t *testing.T) {
	g, v := newTestGroup(t), voltest.New(t, "ext4")
	dir := openDir(t, v.Dir)
	if err := g.Unmark(MarkFilesystem, Create, int(dir.Fd())); !errors.Is(err, unix.ENOENT) {
		t.Errorf("unmark what is not marked: %v", err)
	}
	if err := g.Mark(MarkFilesystem, Create|OnDir, int(dir.Fd())); err != nil {
		t.Fatal(err)
	}
	fsid, err := FilesystemID(int(dir.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	if n, err := g.Drain(buf); n != 0 || err != nil {
		t.Errorf("drained %d bytes of nothing, error %v", n, err)
	}
	if err := os.Mkdir(filepath.Join(v.Dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := g.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	err = Parse(buf[:n], func(e *Event) bool {
		if e.Mask != Create|OnDir || string(e.Name) != "d" || e.Dir.FSID != fsid || e.Object.FSID != fsid || e.PID != os.Getpid() {
			t.Errorf("told %+v", *e)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	g := newTestGroup(t)
	ended := make(chan error, 1)
	go func() {
		_, err := g.Read(make([]byte, 4096))
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := errors.Join(g.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if err := g.Mark(MarkFilesystem, Create, 0); err == nil {
		t.Error("marked with a closed group")
	}
}

// The top directory is found through any subvolume, and only through it the kernel takes a mark.
func TestBtrfsTop(t *testing.T) {
	g, v := newTestGroup(t), voltest.New(t, "btrfs")
	opened := fd.Open()
	dir := openDir(t, v.Dir)
	top, err := BtrfsTop(int(dir.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(top.Int(), &a), unix.Fstat(int(dir.Fd()), &b)); err != nil {
		t.Fatal(err)
	}
	if a.Ino != b.Ino || a.Dev != b.Dev {
		t.Errorf("the top is inode %d of %d, want %d of %d", a.Ino, a.Dev, b.Ino, b.Dev)
	}
	if err := errors.Join(g.Mark(MarkFilesystem, Create, top.Int()), top.Close()); err != nil {
		t.Error(err)
	}
	if fd.Open() != opened {
		t.Error("a descriptor is left")
	}
	other := voltest.New(t, "ext4")
	if _, err := BtrfsTop(int(openDir(t, other.Dir).Fd())); err == nil {
		t.Error("found the top of a btrfs on ext4")
	}
}
