package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// copied returns how many bytes have been written since a moment.
func (s *scene) written(since replicate.Status) int64 { return s.m.Status().Written - since.Written }

// TestMountPointsChange takes a nested volume away and brings it back in the ways in which that happens: with umount
// -l, by moving the mount, below a directory that was made anew, below an ancestor that was renamed. What the
// replica has of it stays the same inodes.
func TestMountPointsChange(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("media/disk"))))
		populate(t, v.Dir, 3, 5)
		write(t, s.in("outer"), "1")
		s.begin()
		s.alike()
		var before replicate.Status
		number := inode(t, s.at("media/disk/d001/f001"))
		same := func(rel string) {
			t.Helper()
			s.equal(s.in(rel), s.at(rel))
			if n := inode(t, s.at(filepath.Join(rel, "d001/f001"))); n != number {
				t.Errorf("%s: inode %d, was %d: copied again", rel, n, number)
			}
		}

		t.Log("umount -l, while a file is held open and written")
		held, err := os.Create(s.in("media/disk/held"))
		if err != nil {
			t.Fatal(err)
		}
		s.alike()
		v.Lazy()
		s.awaitPhase(s.in("media/disk"), replicate.PhaseSourceAbsent)
		if _, err := held.WriteString("after umount -l"); err != nil {
			t.Fatal(err)
		}
		_ = held.Close()
		v.AwaitFree()
		v.Mount()
		same("media/disk")

		t.Log("mount --move within the source")
		moveMount(t, s.in("media/disk"), s.in("other/place"))
		s.awaitText(s.at("other/place/d001/f001"), text(t, s.in("other/place/d001/f001")))
		write(t, s.in("other/place/d001/f002"), "after the move")
		s.alike2("other/place/d001/f002", "after the move")
		moveMount(t, s.in("other/place"), s.in("media/disk"))
		write(t, s.in("media/disk/d001/f002"), "back")
		s.alike2("media/disk/d001/f002", "back")

		t.Log("the mount point is removed and made anew, as udisks does")
		v.Unmount()
		s.awaitPhase(s.in("media/disk"), replicate.PhaseSourceAbsent)
		remove(t, s.in("media/disk"))
		write(t, s.in("outer"), "2")
		s.awaitText(s.at("outer"), "2")
		still(t, "the replica of the absent volume", func() bool { return !absent(s.at("media/disk/d001/f001")) })
		mkdir(t, s.in("media/disk"))
		v.MountAt(s.in("media/disk"))
		write(t, s.in("media/disk/d002/f002"), "new mount point")
		s.awaitText(s.at("media/disk/d002/f002"), "new mount point")
		same("media/disk")

		t.Log("the same while weir is stopped")
		s.end()
		v.Unmount()
		remove(t, s.in("media/disk"))
		s.begin()
		s.awaitPhase(s.src, replicate.PhaseInSync)
		still(t, "the replica of the absent volume", func() bool { return !absent(s.at("media/disk/d001/f001")) })
		s.end()
		v.MountAt(mkdir(t, s.in("media/disk")))
		s.begin()
		before = s.m.Status()
		same("media/disk")

		t.Log("an ancestor of the mount point is renamed")
		rename(t, s.in("media"), s.in("run"))
		write(t, s.in("run/disk/d000/f000"), "below another name")
		s.awaitText(s.at("run/disk/d000/f000"), "below another name")
		same("run/disk")
		if n := s.written(before); n > 100 {
			t.Errorf("%d bytes were written", n)
		}
		s.end()
	})
}

// alike2 waits for one file and for the rest.
func (s *scene) alike2(rel, content string) {
	s.t.Helper()
	s.awaitText(s.at(rel), content)
	s.equal(s.in(filepath.Dir(filepath.Dir(rel))), s.at(filepath.Dir(filepath.Dir(rel))))
}

// TestOvermount mounts a volume over another one: what is hidden stays on the replica, what is visible is not copied
// over it, and when it has left all goes on.
func TestOvermount(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		at := mkdir(t, s.in("m"))
		below := voltest.New(t, "ext4", voltest.At(at))
		write(t, s.in("m/below"), "1")
		s.begin()
		s.alike()
		over := voltest.New(t, "tmpfs", voltest.At(at))
		write(t, s.in("m/over"), "2")
		s.awaitPhase(at, replicate.PhaseHeld)
		still(t, "the replica", func() bool { return absent(s.at("m/over")) && !absent(s.at("m/below")) })
		over.Unmount()
		write(t, s.in("m/below"), "3")
		s.awaitText(s.at("m/below"), "3")
		s.alike()

		// A directory of a nested volume is hidden by a mount; a file below it changes where it is visible.
		elsewhere := mkdir(t, filepath.Join(t.TempDir(), "elsewhere"))
		voltest.Bind(t, at, elsewhere)
		mkdir(t, s.in("m/dir"))
		write(t, s.in("m/dir/f"), "1")
		s.alike()
		over.MountAt(s.in("m/dir"))
		write(t, s.in("m/dir/of the tmpfs"), "x")
		s.awaitText(s.at("m/dir/of the tmpfs"), "x")
		write(t, filepath.Join(elsewhere, "dir/f"), "hidden")
		write(t, s.in("m/below"), "4")
		s.awaitText(s.at("m/below"), "4")
		still(t, "what is hidden", func() bool { return absent(s.at("m/dir/f")) })
		s.equal(s.src, s.dst)
		over.Unmount()
		below.Unmount() // The mount at elsewhere remains.
		s.awaitPhase(at, replicate.PhaseSourceAbsent)
		s.end()
	})
}

// TestSubvolumes mounts two subvolumes of one btrfs, and one of them twice.
func TestSubvolumes(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := voltest.New(t, "btrfs")
		for _, sub := range []string{"one", "two"} {
			if err := subvolume(filepath.Join(v.Dir, sub)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(v.Dir, sub, "f"), "of "+sub)
		}
		mountSub(t, v, "one", s.in("a"))
		s.begin()
		s.alike()
		mountSub(t, v, "two", s.in("b"))
		mountSub(t, v, "one", s.in("c"))
		s.awaitText(s.at("b/f"), "of two")
		s.awaitText(s.at("c/f"), "of one")
		write(t, s.in("a/g"), "twice")
		write(t, s.in("b/g"), "once")
		s.awaitText(s.at("a/g"), "twice")
		s.awaitText(s.at("c/g"), "twice")
		s.awaitText(s.at("b/g"), "once")
		s.alike()
		voltest.Unmount(t, s.in("b"))
		s.awaitPhase(s.in("b"), replicate.PhaseSourceAbsent)
		rename(t, s.in("a/g"), s.in("a/h"))
		s.awaitText(s.at("c/h"), "twice")
		if absent(s.at("b/g")) {
			t.Error("a subvolume that is away was emptied")
		}
		mountSub(t, v, "two", s.in("b"))
		write(t, s.in("b/g"), "again")
		s.awaitText(s.at("b/g"), "again")
		s.alike()
		s.end()
		s.begin()
		s.alike()
		s.end()
	})
}

func subvolume(path string) error {
	// BTRFS_IOC_SUBVOL_CREATE takes the name in the directory that it is called on.
	return runTool("btrfs", "-q", "subvolume", "create", path)
}

func mountSub(t *testing.T, v *voltest.Volume, sub, at string) {
	t.Helper()
	if err := unix.Mount(v.Device, mkdir(t, at), "btrfs", 0, "subvol="+sub); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// TestSecondMountAndSingleFile shows a nested volume at two places, and a file by a bind mount.
func TestSecondMountAndSingleFile(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := voltest.New(t, "xfs", voltest.At(mkdir(t, s.in("one"))))
		populate(t, v.Dir, 2, 3)
		s.begin()
		s.alike()
		voltest.Bind(t, s.in("one"), s.in("two"))
		s.awaitText(s.at("two/d001/f001"), text(t, s.in("one/d001/f001")))
		s.alike()
		write(t, s.in("two/d001/f001"), "through the second")
		s.awaitText(s.at("one/d001/f001"), "through the second")
		s.awaitText(s.at("two/d001/f001"), "through the second")
		voltest.Unmount(t, s.in("one"))
		s.awaitPhase(s.in("one"), replicate.PhaseSourceAbsent)
		write(t, s.in("two/d001/f001"), "one is away")
		s.awaitText(s.at("two/d001/f001"), "one is away")
		if text(t, s.at("one/d001/f001")) != "through the second" {
			t.Error("the replica of the place that is away has changed")
		}
		write(t, s.in("file"), "covered")
		s.awaitText(s.at("file"), "covered")
		if err := unix.Mount(s.in("two/d000/f000"), s.in("file"), "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(s.in("file"), unix.MNT_DETACH) })
		s.await("a note on the file", func() bool { return s.note("file") != "" })
		write(t, s.in("two/d000/f001"), "goes on")
		s.awaitText(s.at("two/d000/f001"), "goes on")
		if err := unix.Unmount(s.in("file"), 0); err != nil {
			t.Fatal(err)
		}
		write(t, s.in("file"), "uncovered")
		s.awaitText(s.at("file"), "uncovered")
		s.end()
	})
}

// TestReplacedSourceVolume puts another volume, then a clone of the right one, where the source's own volume was.
func TestReplacedSourceVolume(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		v, dst := voltest.New(t, "ext4"), voltest.New(t, "xfs").Dir
		populate(t, v.Dir, 2, 3)
		o := Options{Source: v.Dir, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
		r := start(t, o)
		r.equal(v.Dir, dst)
		v.Unmount()
		other := voltest.New(t, "ext4", voltest.At(v.Dir))
		write(t, filepath.Join(v.Dir, "stranger"), "x")
		r.awaitPhase(v.Dir, replicate.PhaseHeld)
		untouched := func() bool { return absent(filepath.Join(dst, "stranger")) && !absent(filepath.Join(dst, "d001/f001")) }
		still(t, "the replica", untouched)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = start(t, o)
		r.awaitPhase(v.Dir, replicate.PhaseHeld)
		still(t, "the replica", untouched)
		other.Unmount()
		v.Mount()
		write(t, filepath.Join(v.Dir, "back"), "x")
		r.awaitText(filepath.Join(dst, "back"), "x")
		r.equal(v.Dir, dst)
		r.quiet(10 * time.Second)

		// Two volumes with one identity: of a nested place it is not known which is right.
		at := mkdir(t, filepath.Join(v.Dir, "nested"))
		nested := voltest.New(t, "ext4", voltest.At(at))
		populate(t, at, 2, 3)
		r.equal(v.Dir, dst)
		nested.Unmount()
		nested.AwaitFree()
		clone := voltest.New(t, "ext4", voltest.Unmounted(), voltest.CopyOf(nested.Image))
		elsewhere := mkdir(t, filepath.Join(v.Dir, "elsewhere"))
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		clone.MountAt(elsewhere)
		r.awaitText(filepath.Join(dst, "elsewhere/d001/f001"), text(t, filepath.Join(elsewhere, "d001/f001")))
		nested.MountAt(at)
		write(t, filepath.Join(at, "new"), "x")
		r.awaitPhase(at, replicate.PhaseHeld)
		still(t, "the ambiguous place", func() bool { return absent(filepath.Join(dst, "nested/new")) })
		clone.Unmount()
		nested.Unmount()
		nested.MountAt(at)
		r.awaitText(filepath.Join(dst, "nested/new"), "x")
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}
