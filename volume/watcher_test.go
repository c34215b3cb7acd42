package volume

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/voltest"
)

func TestVolumeComesAndGoes(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
			w, r := start(t, options)
			v := mustAt(t, w, d.Dir)
			if n := r.count("arrived", v); n != 1 || r.count("arrived and listed", v) != 1 {
				t.Errorf("a volume that was there has arrived %d times", n)
			}
			d.Unmount()
			eventually(t, "left", func() bool { return r.count("left", v) == 1 })
			if at := mustAt(t, w, d.Dir); at.ID() == v.ID() {
				t.Error("the bare mount point shows the volume that has left")
			}

			d.Mount()
			again := mustAt(t, w, d.Dir)
			if again.ID() == v.ID() {
				t.Error("a volume that was mounted again has its old number")
			}
			eventually(t, "arrived", func() bool { return r.count("arrived", again) == 1 })
			if got := points(again.Info()); !slices.Equal(got, []string{d.Dir}) {
				t.Errorf("shown at %q, want %q", got, d.Dir)
			}
		})
	})
}

// TestQuickRemountIsAnotherVolume mounts again before anybody may have looked: the fallback then sees the
// same line of mountinfo, but another superblock.
func TestQuickRemountIsAnotherVolume(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
			w, r := start(t, options)
			for range 8 {
				v := mustAt(t, w, d.Dir)
				d.Unmount()
				d.Mount()
				eventually(t, "left", func() bool { return r.count("left", v) == 1 })
				again := mustAt(t, w, d.Dir)
				if again.ID() == v.ID() {
					t.Fatal("a volume that was mounted again has its old number")
				}
				eventually(t, "arrived", func() bool { return r.count("arrived", again) == 1 })
			}
		})
	})
}

// TestMountsBetweenLookAndListing mounts while a program starts, which looks for its source before it watches.
func TestMountsBetweenLookAndListing(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.RequireRoot(t)
		d := voltest.New(t, "tmpfs")
		w := New(options)
		v := mustAt(t, w, d.Dir)
		voltest.Bind(t, d.Dir, filepath.Join(t.TempDir(), "before"))
		r := run(t, w)
		voltest.Bind(t, d.Dir, filepath.Join(t.TempDir(), "after"))
		eventually(t, "changed", func() bool { return r.count("changed", v) >= 1 })
	})
}

func TestBindAndMoveStayTheVolume(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		w, r := start(t, options)
		v := mustAt(t, w, d.Dir)
		if err := os.Mkdir(d.Dir+"/sub", 0o755); err != nil {
			t.Fatal(err)
		}
		bind, moved := filepath.Join(t.TempDir(), "bind"), filepath.Join(t.TempDir(), "moved")
		voltest.Bind(t, d.Dir+"/sub", bind)
		if at := mustAt(t, w, bind); at.ID() != v.ID() {
			t.Error("a bind mount shows another volume")
		}
		eventually(t, "changed", func() bool { return r.count("changed", v) >= 1 })
		info := v.Info()
		if !slices.Equal(points(info), []string{d.Dir, bind}) || info.Mounts[1].Root != "/sub" {
			t.Errorf("mounts %+v", info.Mounts)
		}

		if err := os.Mkdir(moved, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(bind, moved, "", unix.MS_MOVE, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(moved, unix.MNT_DETACH) })
		if got := points(v.Info()); !slices.Equal(got, []string{d.Dir, moved}) {
			t.Errorf("after the move at %q", got)
		}
		d.Unmount()
		if got := points(v.Info()); !slices.Equal(got, []string{moved}) {
			t.Errorf("after the first mount has gone at %q", got)
		}
		if at := mustAt(t, w, moved); at.ID() != v.ID() || r.count("left", v) != 0 {
			t.Error("the volume has left with one of its mounts")
		}
		voltest.Unmount(t, moved)
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
	})
}

func TestLazyUmountLeavesAtOnce(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "xfs")
		w, r := start(t, options)
		v := mustAt(t, w, d.Dir)
		file, err := os.Create(d.Dir + "/open")
		if err != nil {
			t.Fatal(err)
		}
		d.Lazy()
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
		// The superblock lives on in the open file, and the device shows it again.
		d.Mount()
		again := mustAt(t, w, d.Dir)
		eventually(t, "arrived", func() bool { return r.count("arrived", again) == 1 })
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if r.count("left", again) != 0 || mustAt(t, w, d.Dir).ID() != again.ID() {
			t.Error("the volume has left with its last file")
		}
	})
}

func TestPropagatedMountsAreOneVolume(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		outer := voltest.New(t, "tmpfs")
		if err := unix.Mount("", outer.Dir, "", unix.MS_SHARED, ""); err != nil {
			t.Fatal(err)
		}
		peer := filepath.Join(t.TempDir(), "peer")
		voltest.Bind(t, outer.Dir, peer)
		w, r := start(t, options)
		inner := voltest.New(t, "ext4", voltest.At(outer.Dir+"/in"))
		v := mustAt(t, w, inner.Dir)
		if got := points(v.Info()); !slices.Equal(got, []string{outer.Dir + "/in", peer + "/in"}) &&
			!slices.Equal(got, []string{peer + "/in", outer.Dir + "/in"}) {
			t.Errorf("shown at %q", got)
		}
		inner.Unmount()
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
		if n := r.count("arrived", v); n != 1 {
			t.Errorf("has arrived %d times", n)
		}
	})
}

func TestRemountIsTold(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		w, r := start(t, options)
		v := mustAt(t, w, d.Dir)
		for _, readOnly := range []bool{true, false} {
			before := r.count("changed", v)
			flags := uintptr(0)
			if readOnly {
				flags = unix.MS_RDONLY
			}
			d.Remount(flags, "")
			eventually(t, "changed", func() bool { return r.count("changed", v) > before })
			if info := v.Info(); info.ReadOnly != readOnly || info.Mounts[0].ReadOnly != readOnly {
				t.Errorf("remounted with read-only %v: %+v", readOnly, info)
			}
		}
	})
}

func TestPointFollowsRenamedAncestor(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		dir := t.TempDir()
		d := voltest.New(t, "tmpfs", voltest.At(dir+"/a/b/m"))
		w, _ := start(t, options)
		v := mustAt(t, w, d.Dir)
		if err := os.Rename(dir+"/a", dir+"/c"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir+"/c/b/m", unix.MNT_DETACH) })
		lease, err := v.Borrow(t.Context(), dir+"/c/b/m")
		if err != nil {
			t.Error("borrow at the new point:", err)
		} else if err := lease.Close(); err != nil {
			t.Error(err)
		}
		if got := points(v.Info()); !slices.Equal(got, []string{dir + "/c/b/m"}) {
			t.Errorf("shown at %q", got)
		}
		if mustAt(t, w, dir+"/c/b/m").ID() != v.ID() || !w.IsMountPoint(dir+"/c/b/m") || w.IsMountPoint(dir+"/a/b/m") {
			t.Error("found by its old point")
		}
	})
}

func TestOverflowIsAnsweredByAListing(t *testing.T) {
	d := voltest.New(t, "tmpfs")
	w, r := start(t, Options{})
	if w.eyes.events == nil {
		voltest.Skip(t, "mount events", "run on Linux 6.15 or later")
	}
	v := mustAt(t, w, d.Dir)
	// The group has no limit on its queue, so that the kernel does not send this.
	w.looking.Lock()
	err := w.absorbLocked([]mount.Event{{Overflow: true}})
	w.looking.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "listed again", func() bool { return r.count("listed", nil) == 2 })
	if r.count("missed", nil) != 1 || r.count("arrived", v) != 1 || r.count("left", v) != 0 {
		t.Error("the volume has been told again")
	}
}

func TestStorm(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		w, r := start(t, options)
		before := r.present()
		dirs := make([]string, 10)
		for i := range dirs {
			dirs[i] = t.TempDir()
		}
		var kept []string
		for i := range 2000 {
			dir := dirs[i%len(dirs)]
			if err := unix.Mount("storm", dir, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			if i >= 1990 {
				kept = append(kept, dir)
				continue
			}
			if err := unix.Unmount(dir, 0); err != nil {
				t.Fatal("umount:", err)
			}
		}
		var want []weir.VolumeID
		for _, dir := range kept {
			v := mustAt(t, w, dir)
			eventually(t, "arrived", func() bool { return r.count("arrived", v) == 1 })
			want = append(want, v.ID())
		}
		slices.Sort(want)
		eventually(t, "no ghost", func() bool { return slices.Equal(r.present(), append(slices.Clone(before), want...)) })
		t.Logf("%d of 2000 mounts were met", r.count("arrived", nil)-len(before))
		for _, dir := range kept {
			voltest.Unmount(t, dir)
		}
		eventually(t, "all left", func() bool { return slices.Equal(r.present(), before) })
	})
}

func TestBurstOfVolumesArrivesOnceEach(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		w, r := start(t, options)
		before := len(r.present())
		var volumes []*voltest.Volume
		for range 100 {
			volumes = append(volumes, voltest.New(t, "tmpfs"))
		}
		eventually(t, "every arrival", func() bool { return len(r.present()) == before+len(volumes) })
		for _, d := range volumes {
			v := mustAt(t, w, d.Dir)
			if r.count("arrived", v) != 1 || r.count("left", v) != 0 {
				t.Errorf("%s has arrived %d times", d.Dir, r.count("arrived", v))
			}
		}
		for _, d := range volumes {
			d.Unmount()
		}
		eventually(t, "every leaving", func() bool { return len(r.present()) == before })
	})
}

// TestHangingVolumeDelaysNobody stops the process behind a FUSE volume.
func TestHangingVolumeDelaysNobody(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		point := filepath.Join(t.TempDir(), "fuse")
		resume := voltest.Hang(t, voltest.Bindfs(t, d.Dir, point))
		w, r := start(t, options)
		hanging := mustAt(t, w, point)

		begun := time.Now()
		info := hanging.Info()
		if took := time.Since(begun); took > 3*time.Second || info.SightReason != "the volume does not answer" {
			t.Errorf("after %v: %q", took, info.SightReason)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := hanging.Borrow(ctx, point); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("borrow from a volume that hangs: %v", err)
		}
		begun = time.Now()
		if info := mustAt(t, w, d.Dir).Info(); info.Sight != weir.SightFull {
			t.Errorf("another volume: %+v", info)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("another volume takes %v", took)
		}
		before := r.count("changed", hanging)
		resume()
		eventually(t, "word of an answer", func() bool { return r.count("changed", hanging) > before })
		if info := hanging.Info(); info.Sight != weir.SightScan {
			t.Errorf("when it answers again: %+v", info)
		}
	})
}

// TestSilenceIsOfOneMount asks for a path on a volume that hangs, and again when another mount shows it.
func TestSilenceIsOfOneMount(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		point := filepath.Join(t.TempDir(), "fuse")
		path := filepath.Join(point, "s")
		mkdir := func(dir string) {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		mkdir(filepath.Join(d.Dir, "s"))
		resume := voltest.Hang(t, voltest.Bindfs(t, d.Dir, point))
		w, _ := start(t, options)
		for _, limit := range []time.Duration{5 * time.Second, time.Second} {
			begun := time.Now()
			if _, err := w.At(path); !errors.Is(err, weir.ErrSilent) || time.Since(begun) > limit {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
		}
		if err := errors.Join(unix.Unmount(point, unix.MNT_DETACH), unix.Mount("tmpfs", point, "tmpfs", 0, "size=64k")); err != nil {
			t.Fatal(err)
		}
		mkdir(path)
		if v := mustAt(t, w, path); v.ID() != mustAt(t, w, point).ID() {
			t.Errorf("%s is shown by %+v", path, v.Info())
		}
		if asked := w.Asked(); !slices.Contains(asked, weir.QuotePath(path)) {
			t.Errorf("what hangs yet is not named: %q", asked)
		}
		if err := unix.Unmount(point, 0); err != nil {
			t.Fatal(err)
		}
		resume()
		eventually(t, "an answer", func() bool { return len(w.Asked()) == 0 })
	})
}
