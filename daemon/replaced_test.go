package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// deep makes a tree of several levels, so that a walk takes more than one batch to get down.
func deep(t testing.TB, dir string) {
	t.Helper()
	for _, sub := range []string{"a/b/c/d/e", "a/b/f", "g/h/i/j"} {
		for at := mkdir(t, filepath.Join(dir, sub)); at != dir; at = filepath.Dir(at) {
			write(t, filepath.Join(at, "file"), at)
		}
	}
}

// TestBlindTreeIsComparedWhole replicates trees on which files have no handles: in sync is said when all levels were
// walked, not before.
func TestBlindTreeIsComparedWhole(t *testing.T) {
	voltest.RequireRoot(t)
	dir, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(dir, "s"))
	deep(t, mkdir(t, filepath.Join(dir, "real")))
	deep(t, mkdir(t, filepath.Join(dir, "l")))
	voltest.Bindfs(t, filepath.Join(dir, "real"), filepath.Join(src, "bindfs"))
	voltest.Overlay(t, false, filepath.Join(dir, "l"), filepath.Join(dir, "u"), filepath.Join(dir, "w"), filepath.Join(src, "overlay"))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), ScanInterval: time.Hour})
	for _, place := range []string{"", "bindfs", "overlay"} {
		r.awaitPhase(filepath.Join(src, place), replicate.PhaseInSync)
	}
	for _, place := range []string{"bindfs", "overlay"} {
		if found, err := comparer.Compare(filepath.Join(src, place), filepath.Join(dst, place), comparer.Options{}); err != nil || len(found) > 0 {
			t.Errorf("in sync, but different: %v, %v", found, err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedBlindVolume shows another directory through FUSE than the one that was replicated: nothing tells the two
// file systems apart but what is on them.
func TestReplacedBlindVolume(t *testing.T) {
	voltest.RequireRoot(t)
	dir, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(dir, "s"))
	right, wrong, at := filepath.Join(dir, "right"), mkdir(t, filepath.Join(dir, "wrong")), filepath.Join(src, "m")
	deep(t, mkdir(t, right))
	deep(t, wrong) // The same names, with other times and contents.
	voltest.Bindfs(t, right, at)
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), ScanInterval: 100 * time.Millisecond}
	r := start(t, o)
	r.equal(src, dst)
	for _, from := range []string{wrong, mkdir(t, filepath.Join(dir, "empty"))} {
		umount(t, at)
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		voltest.Bindfs(t, from, at)
		r.awaitPhase(at, replicate.PhaseHeld)
		still(t, "the replica", func() bool { return !absent(filepath.Join(dst, "m/a/b/c/d/e/file")) })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = start(t, o)
		r.awaitPhase(at, replicate.PhaseHeld)
	}
	umount(t, at)
	write(t, filepath.Join(right, "a/file"), "changed meanwhile")
	voltest.Bindfs(t, right, at)
	r.awaitText(filepath.Join(dst, "m/a/file"), "changed meanwhile")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedIsTakenOver says that another volume is right: what both have is that of the new one, at once and with
// all below it; what only the former had goes with mirror, and stays with merge for as long as nobody says mirror.
func TestReplacedIsTakenOver(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		for _, replaced := range []policy.Replaced{policy.ReplacedMirror, policy.ReplacedMerge} {
			t.Run(replaced.String(), func(t *testing.T) { takenOver(t, fallback, replaced) })
		}
	})
}

func takenOver(t *testing.T, fallback bool, replaced policy.Replaced) {
	s := newScene(t, "ext4", "xfs", fallback)
	at := mkdir(t, s.in("v"))
	former := voltest.New(t, "ext4", voltest.At(at))
	deep(t, at)
	for _, rel := range []string{"same", "d/same", "d/only", "only"} {
		mkdir(t, filepath.Dir(filepath.Join(at, rel)))
		write(t, filepath.Join(at, rel), "former "+rel)
	}
	if err := os.Symlink("former", filepath.Join(at, "link")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Link(filepath.Join(at, "only"), filepath.Join(at, "linked")), os.Link(filepath.Join(at, "only"), filepath.Join(at, "linked too"))); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(at, "photos/2020"))
	write(t, filepath.Join(at, "photos/2020/1"), "a photo")
	write(t, filepath.Join(at, "becomes a directory"), "text")
	s.begin()
	s.alike()
	s.end()
	former.Unmount()

	voltest.New(t, "ext4", voltest.At(at))
	write(t, filepath.Join(at, "same"), "new")
	write(t, filepath.Join(mkdir(t, filepath.Join(at, "d")), "same"), "new, below")
	mkdir(t, filepath.Join(at, "a/b"))
	if err := os.Symlink("new", filepath.Join(at, "link")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, "linked"), "new, of one name")
	write(t, filepath.Join(at, "photos"), "a list")
	mkdir(t, filepath.Join(at, "becomes a directory/sub"))
	s.o.Replaced = replaced
	s.begin()
	s.awaitPhase(at, replicate.PhaseInSync)
	check := func() {
		t.Helper()
		for rel, want := range map[string]string{"same": "new", "d/same": "new, below", "linked": "new, of one name", "photos": "a list"} {
			if got := text(t, s.at("v/"+rel)); got != want {
				t.Errorf("%s holds %q, want %q", rel, got, want)
			}
		}
		if to, err := os.Readlink(s.at("v/link")); err != nil || to != "new" {
			t.Errorf("link leads to %q, %v", to, err)
		}
		for _, rel := range []string{"only", "linked too", "d/only", "a/b/c/d/e/file", "g"} {
			if kept := !absent(s.at("v/" + rel)); kept != (replaced == policy.ReplacedMerge) {
				t.Errorf("%s: kept %v", rel, kept)
			}
		}
	}
	check()
	if aside := fmt.Sprint(s.m.Status().Aside); replaced == policy.ReplacedMerge && (!strings.Contains(aside, "photos") || !strings.Contains(aside, "becomes")) {
		t.Errorf("what cannot be merged was not set aside: %s", aside)
	}
	s.end()
	if replaced == policy.ReplacedMirror {
		return
	}
	for _, said := range []policy.Replaced{policy.ReplacedHold, policy.ReplacedMerge} {
		s.o.Replaced = said
		s.begin()
		s.awaitPhase(at, replicate.PhaseInSync)
		check()
		s.end()
	}
	s.o.Replaced = policy.ReplacedMirror
	s.begin()
	s.awaitPhase(at, replicate.PhaseInSync)
	s.alike()
	s.end()
}

// TestAdoptedNestedVolumes takes over a target that holds equal data of nested volumes, also after the index was lost:
// nothing is set aside and nothing is copied.
func TestAdoptedNestedVolumes(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		for _, rel := range []string{"v", "v/w", "x/y"} {
			voltest.New(t, "ext4", voltest.At(mkdir(t, s.in(rel))))
			deep(t, s.in(rel))
		}
		if err := runTool("rsync", "-aHAX", "--exclude", "lost+found", s.src+"/", s.dst+"/"); err != nil {
			t.Fatal(err)
		}
		s.o.Adopt = true
		for range 3 {
			s.begin()
			s.alike()
			if st := s.m.Status(); len(st.Aside) > 0 || st.Copied > 0 {
				t.Errorf("%d files were copied, set aside: %v\n%s", st.Copied, st.Aside, s.log)
			}
			s.end()
			remove(t, s.o.State)
			s.o.Adopt = false // The marker tells whose it is.
		}
	})
}

func umount(t testing.TB, at string) {
	t.Helper()
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatalf("umount %s: %v", at, err)
	}
}
