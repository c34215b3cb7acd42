package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// TestParkedIsGone takes a directory, or something in it, out of the parking behind the index's back, as a batch does that
// is killed after it has moved or removed that and before the index was told.
func TestParkedIsGone(t *testing.T) {
	for _, gone := range []string{"", "file", "below", "below/file"} {
		t.Run("parked/"+gone, func(t *testing.T) { parkedIsGone(t, gone) })
	}
}

func parkedIsGone(t *testing.T, gone string) {
	voltest.RequireRoot(t)
	volume, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(volume, "source"))
	write(t, filepath.Join(mkdir(t, filepath.Join(src, "parked/below")), "file"), "1")
	write(t, filepath.Join(src, "parked/file"), "2")
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "state")}
	r := start(t, o)
	r.equal(src, dst)

	// It lives on outside of the source, so it waits in the parking until everything has been looked at.
	if err := os.Rename(filepath.Join(src, "parked"), filepath.Join(volume, "outside")); err != nil {
		t.Fatal(err)
	}
	r.equal(src, dst)
	r.quiet(10 * time.Second)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	parked, err := filepath.Glob(filepath.Join(dst, ".weir/parked/*/*"))
	if err != nil || len(parked) != 1 {
		t.Fatalf("parked are %q, %v", parked, err)
	}
	if err := os.RemoveAll(filepath.Join(parked[0], gone)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(volume, "outside")); err != nil {
		t.Fatal(err)
	}

	r = start(t, o)
	r.quiet(10 * time.Second)
	write(t, filepath.Join(src, "new"), "3")
	r.spotless(src, dst)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// TestMountPointThatLeavesTheSource moves a directory out of the source, and back, with the mount point of a volume that is
// not mounted. What the replica has of it is neither deleted nor passed over in silence.
func TestMountPointThatLeavesTheSource(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	v := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("d/m"))))
	write(t, s.in("d/file"), "1")
	write(t, filepath.Join(v.Dir, "file"), "2")
	s.begin()
	s.alike()
	v.Unmount()
	s.awaitPhase(v.Dir, replicate.PhaseSourceAbsent)
	outside := filepath.Join(s.from.Dir, "outside")
	rename(t, s.in("d"), outside)
	s.await("it has left the replica", func() bool { _, err := os.Lstat(s.at("d")); return err != nil })
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.end()

	// The first comparison shows that it is nowhere else.
	s.begin()
	s.await("it is listed", func() bool { return len(s.listed()) == 1 })
	kept := s.at(s.listed()[0])
	if text(t, filepath.Join(kept, "file")) != "1" || text(t, filepath.Join(kept, "m/file")) != "2" {
		t.Errorf("%s does not hold both", kept)
	}
	was := inode(t, filepath.Join(kept, "m/file"))

	rename(t, outside, s.in("d"))
	s.awaitText(s.at("d/m/file"), "2")
	s.await("it is listed no more", func() bool { return len(s.listed()) == 0 })
	v.Mount()
	s.awaitPhase(v.Dir, replicate.PhaseInSync)
	s.alike()
	if inode(t, s.at("d/m/file")) != was {
		t.Error("the volume was copied anew")
	}
	s.end()
}

// TestManyAreReaped deletes, outside of the source, a directory that was moved there, with more files in it than the reaper
// records at once: while weir runs, and while it does not.
func TestManyAreReaped(t *testing.T) {
	voltest.RequireRoot(t)
	for _, offline := range []bool{false, true} {
		t.Run(fmt.Sprintf("offline=%v", offline), func(t *testing.T) { manyAreReaped(t, offline) })
	}
}

func manyAreReaped(t *testing.T, offline bool) {
	s := newScene(t, "ext4", "xfs", false)
	var err error
	if s.o.Brake, err = policy.ParseBrake("off"); err != nil {
		t.Fatal(err)
	}
	below, another := mkdir(t, s.in("d/below")), mkdir(t, s.in("another"))
	for n := range 5000 {
		write(t, filepath.Join(below, fmt.Sprint("f", n)), "")
	}
	s.begin()
	s.alike()
	outside := filepath.Join(s.from.Dir, "outside")
	if offline {
		s.end()
		rename(t, s.in("d"), outside)
		remove(t, outside)
		s.begin()
	} else {
		rename(t, s.in("d"), outside)
		s.await("it has left the replica", func() bool { return absent(s.at("d")) })
		remove(t, outside)
		rename(t, another, outside) // What is parked is asked at once whenever something else comes to it.
	}
	s.within(8*time.Second, "all of it is deleted", func() bool {
		parked, err := filepath.Glob(s.at(".weir/parked/*/*/below"))
		return err == nil && len(parked) == 0 && absent(s.at("d"))
	})
	s.alike()
	s.end()
}
