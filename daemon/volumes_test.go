package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// eachDiscovery runs a test with mount events, and with mountinfo alone.
func eachDiscovery(t *testing.T, fn func(t *testing.T, fallback bool)) {
	voltest.RequireRoot(t)
	t.Run("events", func(t *testing.T) { fn(t, false) })
	t.Run("mountinfo", func(t *testing.T) { fn(t, true) })
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitText waits until a file holds a text.
func (r *running) awaitText(path, text string) {
	r.t.Helper()
	r.await("content of "+path, func() bool {
		got, err := os.ReadFile(path)
		return err == nil && string(got) == text
	})
}

func (r *running) await(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within 10 s\n%+v\n%s", what, r.m.Status(), r.log)
		}
	}
}

// awaitPhase waits until the replica of a place is in a phase.
func (r *running) awaitPhase(place string, phase replicate.Phase) {
	r.t.Helper()
	r.await(place+" "+string(phase), func() bool {
		for _, u := range r.m.Status().Units {
			if u.Place == place && u.Phase == phase {
				return true
			}
		}
		return false
	})
}

// still checks that something holds for a while.
func still(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !ok() {
			t.Fatalf("%s: no longer", what)
		}
	}
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}

func TestVolumeBelowSourceIsFollowed(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
		at := mkdir(t, filepath.Join(src, "a/m"))
		write(t, filepath.Join(src, "outer"), "1")
		r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback})
		r.equal(src, dst)

		v := voltest.New(t, "ext4", voltest.Unmounted())
		v.MountAt(at)
		write(t, filepath.Join(at, "first"), "in the microsecond after mount")
		r.awaitText(filepath.Join(dst, "a/m/first"), "in the microsecond after mount")
		mkdir(t, filepath.Join(at, "d/e"))
		write(t, filepath.Join(at, "d/e/f"), "2")
		r.awaitText(filepath.Join(dst, "a/m/d/e/f"), "2")
		r.equal(src, dst)

		// The volume leaves: its replica stays, and what is written into the bare mount point is not copied.
		v.Unmount()
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		write(t, filepath.Join(at, "bare"), "covered")
		write(t, filepath.Join(src, "outer"), "2")
		r.awaitText(filepath.Join(dst, "outer"), "2")
		still(t, "the replica of the volume", func() bool {
			return absent(filepath.Join(dst, "a/m/bare")) && !absent(filepath.Join(dst, "a/m/d/e/f"))
		})

		// It is changed elsewhere and comes back.
		elsewhere := mkdir(t, filepath.Join(t.TempDir(), "elsewhere"))
		v.MountAt(elsewhere)
		write(t, filepath.Join(elsewhere, "first"), "changed elsewhere")
		if err := os.Rename(filepath.Join(elsewhere, "d"), filepath.Join(elsewhere, "moved")); err != nil {
			t.Fatal(err)
		}
		v.Unmount()
		v.MountAt(at)
		r.awaitText(filepath.Join(dst, "a/m/first"), "changed elsewhere")
		r.equal(src, dst)

		// Weir is stopped, the volume is away at the start, and comes later.
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		v.Unmount()
		r = start(t, Options{Source: src, Targets: []string{dst}, State: r.m.State(), Fallback: fallback})
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		r.awaitPhase(src, replicate.PhaseInSync)
		if absent(filepath.Join(dst, "a/m/moved/e/f")) || !absent(filepath.Join(dst, "a/m/bare")) {
			t.Fatal("an absent volume was taken for an emptied one")
		}
		v.MountAt(at)
		write(t, filepath.Join(at, "later"), "3")
		r.awaitText(filepath.Join(dst, "a/m/later"), "3")
		r.equal(src, dst)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		v.Unmount()
	})
}

func TestAnotherVolumeInThePlaceIsHeld(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
		at := mkdir(t, filepath.Join(src, "m"))
		first, second := voltest.New(t, "ext4", voltest.Unmounted()), voltest.New(t, "ext4", voltest.Unmounted())
		first.MountAt(at)
		write(t, filepath.Join(at, "f"), "of the first")
		o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
		r := start(t, o)
		r.equal(src, dst)
		first.Unmount()
		second.MountAt(at)
		write(t, filepath.Join(at, "g"), "of the second")
		r.awaitPhase(at, replicate.PhaseHeld)
		still(t, "the replica", func() bool { return absent(filepath.Join(dst, "m/g")) && !absent(filepath.Join(dst, "m/f")) })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}

		// Held also after a restart, and until the user says what it means.
		r = start(t, o)
		r.awaitPhase(at, replicate.PhaseHeld)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		o.Replaced = 1 // merge
		r = start(t, o)
		r.awaitText(filepath.Join(dst, "m/g"), "of the second")
		r.awaitPhase(at, replicate.PhaseInSync)
		if absent(filepath.Join(dst, "m/f")) {
			t.Fatal("merge deleted a file")
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		second.Unmount()
		first.MountAt(at)
		o.Replaced = 2 // mirror
		r = start(t, o)
		r.equal(src, dst)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		first.Unmount()
	})
}

func TestUnmountedSourceDeletesNothing(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		v, dst := voltest.New(t, "ext4"), voltest.New(t, "xfs").Dir
		write(t, filepath.Join(v.Dir, "f"), "1")
		o := Options{Source: v.Dir, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
		r := start(t, o)
		r.equal(v.Dir, dst)
		v.Unmount()
		r.awaitPhase(v.Dir, replicate.PhaseSourceAbsent)
		write(t, filepath.Join(v.Dir, "bare"), "covered")
		still(t, "the replica", func() bool { return !absent(filepath.Join(dst, "f")) && absent(filepath.Join(dst, "bare")) })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = start(t, o)
		r.awaitPhase(v.Dir, replicate.PhaseSourceAbsent)
		still(t, "the replica", func() bool { return !absent(filepath.Join(dst, "f")) && absent(filepath.Join(dst, "bare")) })
		v.Mount()
		write(t, filepath.Join(v.Dir, "f"), "2")
		r.awaitText(filepath.Join(dst, "f"), "2")
		r.equal(v.Dir, dst)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnmountedTargetIsNotFilled(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		src, v := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs")
		dst := mkdir(t, filepath.Join(v.Dir, "r"))
		write(t, filepath.Join(src, "f"), "1")
		o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
		r := start(t, o)
		r.equal(src, dst)
		r.quiet(5 * time.Second)
		v.Unmount()
		mkdir(t, dst)
		write(t, filepath.Join(dst, "written into the bare mount point"), "x")
		write(t, filepath.Join(src, "f"), "2")
		r.awaitPhase(src, replicate.PhaseTargetAbsent)
		still(t, "the bare mount point", func() bool {
			list, err := os.ReadDir(dst)
			return err == nil && len(list) == 1
		})
		v.Mount()
		r.awaitText(filepath.Join(dst, "f"), "2")
		r.equal(src, dst)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBindMountIsCopiedWhereItIsShown(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		v, dst := voltest.New(t, "ext4"), voltest.New(t, "xfs").Dir
		src := mkdir(t, filepath.Join(v.Dir, "s"))
		mkdir(t, filepath.Join(src, "real/sub"))
		mkdir(t, filepath.Join(src, "shown"))
		write(t, filepath.Join(src, "real/sub/f"), "1")
		voltest.Bind(t, filepath.Join(src, "real"), filepath.Join(src, "shown"))
		r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback})
		r.equal(src, dst)
		write(t, filepath.Join(src, "shown/sub/g"), "2")
		r.awaitText(filepath.Join(dst, "real/sub/g"), "2")
		r.awaitText(filepath.Join(dst, "shown/sub/g"), "2")
		if err := os.Rename(filepath.Join(src, "real/sub"), filepath.Join(src, "real/new")); err != nil {
			t.Fatal(err)
		}
		r.equal(src, dst)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBlindVolumesAreScanned(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		dir := voltest.New(t, "ext4").Dir
		dst := voltest.New(t, "xfs").Dir
		src := mkdir(t, filepath.Join(dir, "s"))
		lower, upper, work := mkdir(t, filepath.Join(dir, "l")), mkdir(t, filepath.Join(dir, "u")), mkdir(t, filepath.Join(dir, "w"))
		write(t, filepath.Join(lower, "below"), "1")
		voltest.Overlay(t, false, lower, upper, work, mkdir(t, filepath.Join(src, "overlay")))
		voltest.Bindfs(t, mkdir(t, filepath.Join(dir, "real")), mkdir(t, filepath.Join(src, "bindfs")))
		r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback, ScanInterval: 200 * time.Millisecond})
		r.equal(src, dst)
		for _, sub := range []string{"overlay", "bindfs"} {
			mkdir(t, filepath.Join(src, sub, "d"))
			write(t, filepath.Join(src, sub, "d/f"), "2")
			r.awaitText(filepath.Join(dst, sub, "d/f"), "2")
		}
		if err := os.Rename(filepath.Join(src, "overlay/d"), filepath.Join(src, "overlay/e")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(src, "overlay/below")); err != nil {
			t.Fatal(err)
		}
		r.equal(src, dst)
		scanned := 0
		for _, u := range r.m.Status().Units {
			if strings.Contains(u.Sight, "scan only") && u.Scan == "200ms" {
				scanned++
			}
		}
		if scanned != 2 {
			t.Errorf("%d replicas say that they are scanned, want 2: %+v", scanned, r.m.Status().Units)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLayerIsCopiedOnce writes through an overlay whose lower and upper directories are on the source's own volume, where
// the same changes are seen again: each file is copied once, from the layer.
func TestLayerIsCopiedOnce(t *testing.T) {
	for _, nfsExport := range []bool{true, false} {
		t.Run(fmt.Sprint("nfs_export ", nfsExport), func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			s.o.ScanInterval = 200 * time.Millisecond
			below := func(name string) string { return mkdir(t, filepath.Join(s.from.Dir, name)) }
			write(t, filepath.Join(below("lower"), "from below"), "1")
			voltest.Overlay(t, nfsExport, below("lower"), below("upper"), below("work"), mkdir(t, s.in("layer")))
			s.begin()
			s.alike()
			const files = 20
			for n := range files {
				write(t, s.in(name("layer/file", n)), "2")
			}
			s.alike()
			if copied := s.m.Status().Copied; copied >= 2*files { // One may be seen before its text is in it.
				t.Errorf("%d files were copied, want %d", copied, files+1)
			}
			s.end()
		})
	}
}

// TestBlindVolumeIsCopiedByOneWalk has nothing but the first walk copy a tree whose directories have no handles.
func TestBlindVolumeIsCopiedByOneWalk(t *testing.T) {
	voltest.RequireRoot(t)
	dir, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(dir, "s"))
	voltest.Overlay(t, false, mkdir(t, filepath.Join(dir, "l")), mkdir(t, filepath.Join(dir, "u")), mkdir(t, filepath.Join(dir, "w")), src)
	for deep := src; len(deep) < len(src)+30; {
		deep = mkdir(t, filepath.Join(deep, "d"))
		write(t, filepath.Join(deep, "f"), deep)
	}
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), ScanInterval: time.Hour})
	r.awaitPhase(src, replicate.PhaseInSync)
	r.quiet(10 * time.Second)
	r.spotless(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
