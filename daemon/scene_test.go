package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
)

// scene is a source on one volume and a target on another, with a mirror between them.
type scene struct {
	*running
	t        *testing.T
	from, to *voltest.Volume
	src, dst string
	o        Options
}

// newScene makes both sides in subdirectories, so that the volumes may be unmounted. The mirror is not started.
func newScene(t *testing.T, from, to string, fallback bool) *scene {
	t.Helper()
	s := &scene{t: t, from: voltest.New(t, from), to: voltest.New(t, to)}
	s.src, s.dst = mkdir(t, filepath.Join(s.from.Dir, "s")), mkdir(t, filepath.Join(s.to.Dir, "r"))
	s.o = Options{Source: s.src, Targets: []string{s.dst}, State: filepath.Join(t.TempDir(), "state"), Fallback: fallback}
	return s
}

func (s *scene) begin() {
	s.t.Helper()
	s.running = start(s.t, s.o)
}

// end stops the mirror; everything is durable then.
func (s *scene) end() {
	s.t.Helper()
	if err := s.stop(); err != nil {
		s.t.Fatalf("stop: %v\n%s", err, s.log)
	}
}

// endBehind stops the mirror while the target cannot be written.
func (s *scene) endBehind() {
	s.t.Helper()
	if err := s.stop(); weir.KindOf(err) != weir.KindBehind {
		s.t.Fatalf("stop: %v, want a target that is left behind", err)
	}
}

// alike waits until the replica equals the source and all is durable.
func (s *scene) alike() {
	s.t.Helper()
	s.equal(s.src, s.dst)
	s.quiet(10 * time.Second)
}

// in returns a path below the source, at below the target.
func (s *scene) in(rel string) string { return filepath.Join(s.src, rel) }
func (s *scene) at(rel string) string { return filepath.Join(s.dst, rel) }

// unit returns the state of one place on one target.
func (s *scene) unit(place, target string) replicate.UnitStatus {
	s.t.Helper()
	u, known := s.find(place, target)
	if !known {
		s.t.Fatalf("no replica of %s on %s: %+v", place, target, s.m.Status().Units)
	}
	return u
}

// find is unit for a place that may not be known yet.
func (s *scene) find(place, target string) (u replicate.UnitStatus, known bool) {
	for _, u := range s.m.Status().Units {
		if u.Place == place && u.Target == target {
			return u, true
		}
	}
	return u, false
}

// slotOn returns the slot of a filter on the volume that is meant, and that volume; nil if there is none.
func (s *scene) slotOn(filter string, meant func(weir.VolumeInfo) bool) (*manager.SlotSnapshot, manager.VolumeSnapshot) {
	snapshot := s.m.manager.Snapshot()
	for _, v := range snapshot.Volumes {
		if meant(v.Info) {
			return snapshot.Slot(filter, v.Info.ID), v
		}
	}
	return nil, manager.VolumeSnapshot{}
}

// slotAt returns the slot of the replicator on the volume that shows a path, and that volume; nil if there is none.
func (s *scene) slotAt(path string) (*manager.SlotSnapshot, manager.VolumeSnapshot) {
	at, err := s.m.watcher.At(path)
	return s.slotOn("replicate", func(info weir.VolumeInfo) bool { return err == nil && info.ID == at.ID() })
}

// note returns why a mount is not followed, or nothing.
func (s *scene) note(rel string) string {
	for _, n := range s.m.Status().Notes {
		if n.Path == rel {
			return n.Reason
		}
	}
	return ""
}

// populate makes directories with files of a few bytes.
func populate(t testing.TB, dir string, dirs, files int) {
	t.Helper()
	for d := range dirs {
		sub := mkdir(t, filepath.Join(dir, name("d", d)))
		for f := range files {
			write(t, filepath.Join(sub, name("f", f)), name("content", d*files+f))
		}
	}
}

func name(prefix string, n int) string {
	return prefix + string(rune('0'+n/100%10)) + string(rune('0'+n/10%10)) + string(rune('0'+n%10))
}

// inode returns the number of what is at a path.
func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return st.Ino
}

func text(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// moveMount moves a mount, as mount --move does.
func moveMount(t testing.TB, from, to string) {
	t.Helper()
	if err := unix.Mount(from, mkdir(t, to), "", unix.MS_MOVE, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for unix.Unmount(to, unix.MNT_DETACH) == nil {
		}
	})
}

// runTool runs a program and tells what it said if it fails.
func runTool(program string, args ...string) error {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}
