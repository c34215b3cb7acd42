package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/voltest"
)

func isDone(l weir.Lease) bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

func TestLeaseIsAPrivateRoot(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
			w, _ := start(t, options)
			if err := os.MkdirAll(d.Dir+"/a/b/covered", 0o755); err != nil {
				t.Fatal(err)
			}
			inner := voltest.New(t, "tmpfs", voltest.At(d.Dir+"/a/b"))
			v := mustAt(t, w, d.Dir)
			lease, err := v.Borrow(t.Context(), d.Dir+"/a")
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Close()
			var stat unix.Stat_t
			if err := unix.Fstatat(lease.FD(), "b/covered", &stat, 0); err != nil {
				t.Error("the directory below a mount is not visible:", err)
			}
			checkWrites(t, lease.FD())
			checkHandles(t, lease.FD())
			if _, err := v.Borrow(t.Context(), inner.Dir); weir.KindOf(err) != weir.KindAbsent {
				t.Errorf("borrow of another volume's root: %v", err)
			}
			if _, err := v.Borrow(t.Context(), d.Dir+"/none"); weir.KindOf(err) != weir.KindAbsent {
				t.Errorf("borrow of what is not there: %v", err)
			}
			if err := errors.Join(lease.Close(), lease.Close()); err != nil || lease.FD() != -1 {
				t.Errorf("closed twice: %v, descriptor %d", err, lease.FD())
			}
		})
	})
}

func checkWrites(t *testing.T, dir int) {
	t.Helper()
	n, err := unix.Openat(dir, "new", unix.O_CREAT|unix.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(n)
	if err := errors.Join(unix.Linkat(dir, "new", dir, "b2", 0), unix.Renameat(dir, "new", dir, "renamed"),
		unix.Syncfs(dir)); err != nil {
		t.Error("through the lease:", err)
	}
}

// checkHandles opens by handle through the lease, and reads the path in the clone.
func checkHandles(t *testing.T, dir int) {
	t.Helper()
	n, err := unix.Openat(dir, "b", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(n)
	h, err := handle.Of(n)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := handle.Open(dir, h, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(opened)
	root, err1 := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir))
	path, err2 := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", opened))
	if err := errors.Join(err1, err2); err != nil || path != root+"/b" {
		t.Errorf("the handle leads to %q, the lease to %q, %v", path, root, err)
	}
}

func TestLeavingCallsLeasesBack(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		w, _ := start(t, options)
		v := mustAt(t, w, d.Dir)
		bind := filepath.Join(t.TempDir(), "bind")
		voltest.Bind(t, d.Dir, bind)
		lease, err := v.Borrow(t.Context(), d.Dir)
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Close()
		if isDone(lease) {
			t.Error("called back before anything has left")
		}
		voltest.Unmount(t, bind) // one of two mounts
		eventually(t, "the call back", func() bool { return isDone(lease) })

		second, err := v.Borrow(t.Context(), d.Dir)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if err := unix.Unmount(d.Dir, 0); err != nil {
			t.Fatal("a lease keeps the volume from being unmounted:", err)
		}
		eventually(t, "the call back", func() bool { return isDone(second) })
		if _, err := v.Borrow(t.Context(), d.Dir); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("borrow from a volume that has left: %v", err)
		}
		if err := errors.Join(lease.Close(), second.Close()); err != nil {
			t.Fatal(err)
		}
		device, err := unix.Open(d.Device, unix.O_RDWR|unix.O_EXCL, 0)
		if err != nil {
			t.Fatal("the device is busy after the last lease:", err)
		}
		_ = unix.Close(device)
	})
}

func TestEndOfRunCallsLeasesBack(t *testing.T) {
	d := voltest.New(t, "tmpfs")
	w, r := New(Options{}), &record{states: map[weir.VolumeID]string{}, away: map[weir.VolumeID]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, r) }()
	eventually(t, "listed", func() bool { return r.count("listed", nil) == 1 })
	v := mustAt(t, w, d.Dir)
	lease, err := v.Borrow(t.Context(), d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	cancel()
	if err := <-done; err != nil || !isDone(lease) {
		t.Errorf("Run ended with %v, lease called back: %v", err, isDone(lease))
	}
	if _, err := v.Borrow(t.Context(), d.Dir); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("borrow after the end: %v", err)
	}
	if err := w.Run(t.Context(), r); !errors.Is(err, errRunTwice) {
		t.Errorf("a second Run: %v", err)
	}
}

func TestAtWithoutRun(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		before := fd.Open()
		d := voltest.New(t, "ext4")
		w := New(options)
		v := mustAt(t, w, d.Dir)
		if err := os.WriteFile(d.Dir+"/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(d.Dir, link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{d.Dir + "/", d.Dir + "/file", link, link + "/file", d.Dir + "/../" + filepath.Base(d.Dir)} {
			if at := mustAt(t, w, path); at.ID() != v.ID() {
				t.Errorf("%s is on another volume", path)
			}
		}
		if mustAt(t, w, "/").ID() == v.ID() || mustAt(t, w, filepath.Dir(link)).ID() == v.ID() {
			t.Error("everything is on one volume")
		}
		for path, kind := range map[string]weir.Kind{
			d.Dir + "/none": weir.KindAbsent, "/no such directory": weir.KindAbsent, "relative": weir.KindRefused,
			d.Dir + "/file/x": weir.KindAbsent,
		} {
			if _, err := w.At(path); err == nil || weir.KindOf(err) != kind {
				t.Errorf("At(%q): %v", path, err)
			}
		}
		lease, err := v.Borrow(t.Context(), link)
		if err != nil {
			t.Fatal("through a symbolic link:", err)
		}
		_ = v.Info()
		if err := lease.Close(); err != nil || fd.Open() != before {
			t.Errorf("%v; %d descriptors are left open", err, fd.Open()-before)
		}
	})
}

func TestMountsBelow(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "tmpfs")
		w, _ := start(t, options)
		below := func() []string { return points(weir.VolumeInfo{Mounts: w.MountsBelow(d.Dir)}) }
		if got := below(); len(got) != 0 || !w.IsMountPoint(d.Dir) || w.IsMountPoint(d.Dir+"/x") {
			t.Errorf("below an empty volume: %q", got)
		}
		z := voltest.New(t, "tmpfs", voltest.At(d.Dir+"/z/deep"))
		a := voltest.New(t, "tmpfs", voltest.At(d.Dir+"/a"))
		if got := below(); !slices.Equal(got, []string{z.Dir, a.Dir}) {
			t.Errorf("below: %q", got)
		}
		over := voltest.New(t, "tmpfs", voltest.At(d.Dir+"/z"))
		if got := below(); !slices.Equal(got, []string{a.Dir, over.Dir}) {
			t.Errorf("with one hidden: %q", got)
		}
		over.Unmount()
		a.Unmount()
		if got := below(); !slices.Equal(got, []string{z.Dir}) || w.IsMountPoint(a.Dir) {
			t.Errorf("after umounts: %q", got)
		}
		if all := w.MountsBelow("/"); len(all) < 5 {
			t.Errorf("below the root: %+v", all)
		}
	})
}

// TestUmountIsNeverBusy unmounts volumes while everything that looks at them runs in a loop.
func TestUmountIsNeverBusy(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		// As systemd leaves it: a umount looks for its like on every peer of the parent mount.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }()
		if err := os.MkdirAll(d.Dir+"/in/side", 0o755); err != nil {
			t.Fatal(err)
		}
		w, _ := start(t, options)
		stop, dir := make(chan struct{}), d.Dir
		var loops sync.WaitGroup
		for name, look := range map[string]func(){
			"At":     func() { _, _ = w.At(dir + "/in") },
			"Borrow": func() { borrowOnce(w, dir, dir+"/in/side") },
			"List":   func() { _, _ = List(t.Context(), options) },
		} {
			loops.Go(func() {
				n := 0
				for ; !closed(stop); n++ {
					look()
				}
				t.Logf("%s: %d times", name, n)
			})
		}
		for i := range 200 {
			time.Sleep(time.Duration(i%10) * 100 * time.Microsecond)
			if err := unix.Unmount(d.Dir, 0); err != nil {
				t.Errorf("umount %d: %v", i, err)
				break
			}
			d.Mount()
		}
		close(stop)
		loops.Wait()
	})
}

// TestLeaseHoldsNoOtherMount borrows a volume while another one is mounted in it and unmounted again, which is never seen
// through the lease, nor kept by it.
func TestLeaseHoldsNoOtherMount(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		in := filepath.Join(d.Dir, "in")
		if err := os.Mkdir(in, 0o755); err != nil {
			t.Fatal(err)
		}
		w, _ := start(t, options)
		v := mustAt(t, w, d.Dir)
		stop := make(chan struct{})
		var loop sync.WaitGroup
		loop.Go(func() {
			for n := 0; !closed(stop); n++ {
				if err := errors.Join(unix.Mount("passing", in, "tmpfs", 0, ""), unix.Unmount(in, 0)); err != nil {
					t.Errorf("mount and umount %d: %v", n, err)
					return
				}
				time.Sleep(time.Duration(n%16) * 100 * time.Microsecond)
			}
		})
		leases, crossed := 0, 0
		for range 3000 {
			lease, err := v.Borrow(t.Context(), d.Dir)
			if weir.KindOf(err) == weir.KindAbsent {
				continue // The mounts keep changing.
			}
			if err != nil {
				t.Fatal(err)
			}
			leases++
			var stat unix.Statx_t
			if err := unix.Statx(lease.FD(), "in", unix.AT_NO_AUTOMOUNT, unix.STATX_INO, &stat); err != nil {
				t.Error(err)
			}
			if stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
				crossed++
			}
			_ = lease.Close()
		}
		close(stop)
		loop.Wait()
		t.Logf("%d leases", leases)
		if leases == 0 || crossed > 0 {
			t.Errorf("%d of %d leases show what was mounted below for a moment", crossed, leases)
		}
	})
}

func borrowOnce(w *Watcher, root, path string) {
	v, err := w.At(root)
	if err != nil {
		return
	}
	if lease, err := v.Borrow(context.Background(), path); err == nil {
		_ = lease.Close()
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestAtOnLayersOfSeveralFileSystems has overlays whose files carry the device of the layer that they lie on, or a number
// of their own, and whose directories carry the overlay's.
func TestAtOnLayersOfSeveralFileSystems(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		lower, upper := voltest.New(t, "ext4").Dir, voltest.New(t, "tmpfs").Dir
		if err := errors.Join(os.MkdirAll(lower+"/l/below", 0o755), os.WriteFile(lower+"/l/below/file", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		w := New(options)
		for i, nfsExport := range []bool{true, false} {
			own := fmt.Sprintf("%s/%d", upper, i)
			merged := own + "/merged"
			voltest.Overlay(t, nfsExport, lower+"/l", own+"/u", own+"/w", merged)
			if err := os.WriteFile(merged+"/new", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			v := mustAt(t, w, merged)
			for _, path := range []string{"/below", "/below/file", "/new"} {
				if at := mustAt(t, w, merged+path); at.ID() != v.ID() {
					t.Errorf("nfs_export %t: %s is on another volume", nfsExport, path)
				}
			}
		}
	})
}
