package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// notFollowed waits until a mount is noted as not followed and logged, and returns why.
func (s *scene) notFollowed(rel string) (why string) {
	s.t.Helper()
	s.await("a note of "+rel, func() bool {
		why = s.note(rel)
		return why != "" && strings.Contains(s.log.String(), "is not followed\" path="+s.in(rel))
	})
	return why
}

// buried waits until a mount is told of as not followed for what it covers: as a problem on each target, as a remark, and in
// the log; and returns why.
func (s *scene) buried(rel string) (why string) {
	s.t.Helper()
	s.await("what is told of "+rel, func() bool {
		told := 0
		status := s.m.Status()
		for _, p := range status.Problems {
			if p.Path == rel && strings.Contains(p.Reason, "not followed") {
				told, why = told+1, p.Reason
			}
		}
		return told == len(status.Targets) && s.isHeld(rel) && strings.Contains(s.log.String(), "is not followed\" path="+s.in(rel))
	})
	return why
}

func (s *scene) isHeld(rel string) bool {
	return slices.ContainsFunc(s.m.replicator.Filter().Remarks(), func(r weir.Remark) bool {
		volume, err := s.m.watcher.At(s.in(rel))
		return r.Held && r.Path == s.in(rel) && r.Todo != "" && err == nil && volume.ID() == r.Volume
	})
}

// TestVolumeOverNestedVolume mounts a volume over a directory in which another volume is mounted, and takes it away
// again: the replica of what was covered stays, and is followed on.
func TestVolumeOverNestedVolume(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		write(t, filepath.Join(mkdir(t, s.in("p/x")), "f"), "1")
		nested := voltest.New(t, "ext4", voltest.At(s.in("p/x/v")))
		write(t, filepath.Join(nested.Dir, "a"), "1")
		s.begin()
		s.alike()
		over := voltest.New(t, "tmpfs", voltest.At(s.in("p")))
		write(t, s.in("p/evil"), "1")
		if why := s.buried("p"); !strings.Contains(why, "another volume") || !strings.Contains(why, "--replaced") {
			t.Errorf("the reason is %q", why)
		}
		still(t, "the replica of what is covered", func() bool {
			return text(t, s.at("p/x/f")) == "1" && text(t, s.at("p/x/v/a")) == "1" && absent(s.at("p/evil"))
		})
		over.Unmount()
		s.await("nothing is told any more", func() bool {
			return len(s.m.Status().Problems) == 0 && len(s.m.replicator.Filter().Remarks()) == 0
		})
		write(t, s.in("p/x/m"), "2")
		write(t, s.in("p/x/v/n"), "2")
		s.awaitText(s.at("p/x/m"), "2")
		s.awaitText(s.at("p/x/v/n"), "2")
		s.alike()
		if len(s.m.Status().Aside) > 0 || len(s.m.Status().Units) != 2 {
			t.Errorf("set aside: %v, places: %v", s.m.Status().Aside, s.m.Status().Units)
		}
		s.end()
	})
}

// TestVolumeOverManyNames mounts a volume over more names than the brake lets go. It is followed when that is said.
func TestVolumeOverManyNames(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	for i := range 1200 {
		write(t, filepath.Join(mkdir(t, s.in("p")), fmt.Sprint("f", i)), "1")
	}
	s.begin()
	s.alike()
	over := voltest.New(t, "tmpfs", voltest.At(s.in("p")))
	write(t, s.in("p/new"), "1")
	if why := s.buried("p"); !strings.Contains(why, "1200 names") {
		t.Errorf("the reason is %q", why)
	}
	if list, err := os.ReadDir(s.at("p")); err != nil || len(list) != 1200 {
		t.Errorf("the replica has %d names, %v", len(list), err)
	}
	s.end()
	s.o.Replaced = policy.ReplacedMirror
	s.begin()
	s.awaitText(s.at("p/new"), "1")
	s.awaitPhase(s.in("p"), replicate.PhaseInSync)
	s.end()
	over.Unmount()
}

// TestMountInAHeldVolume mounts a volume in one that is held: that it is not followed is told while weir runs.
func TestMountInAHeldVolume(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	former := voltest.New(t, "ext4", voltest.At(s.in("v")))
	populate(t, former.Dir, 2, 3)
	s.begin()
	s.alike()
	former.Unmount()
	other := voltest.New(t, "ext4", voltest.At(s.in("v")))
	mkdir(t, filepath.Join(other.Dir, "inner"))
	s.awaitPhase(s.in("v"), replicate.PhaseHeld)
	inner := voltest.New(t, "ext4", voltest.At(s.in("v/inner")))
	if why := s.notFollowed("v/inner"); !strings.Contains(why, "around") {
		t.Errorf("the reason is %q", why)
	}
	inner.Unmount()
	s.end()
}

// TestVolumesWhileTheBrakeHolds mounts volumes while deletions wait elsewhere: one that covers nothing is followed, and one that
// covers anything when the brake has let go.
func TestVolumesWhileTheBrakeHolds(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		many := func() {
			for i := range 1200 {
				write(t, filepath.Join(mkdir(t, s.in("many")), fmt.Sprint("f", i)), "1")
			}
		}
		many()
		write(t, filepath.Join(mkdir(t, s.in("full")), "f"), "1")
		empty := mkdir(t, s.in("empty"))
		s.begin()
		s.alike()
		remove(t, s.in("many"))
		s.awaitPhase(s.src, replicate.PhaseBraked)
		fresh := mkdir(t, s.in("fresh"))
		for _, at := range []string{empty, fresh} {
			voltest.New(t, "tmpfs", voltest.At(at))
			write(t, filepath.Join(at, "g"), "2")
			s.awaitText(s.at(filepath.Base(at)+"/g"), "2")
		}
		voltest.New(t, "tmpfs", voltest.At(s.in("full")))
		write(t, s.in("full/g"), "2")
		if why := s.buried("full"); !strings.Contains(why, "it covers 1 names") {
			t.Errorf("the reason is %q", why)
		}
		many()
		s.awaitText(s.at("full/g"), "2")
		s.await("nothing is told any more", func() bool {
			return len(s.m.Status().Problems) == 0 && len(s.m.replicator.Filter().Remarks()) == 0
		})
		s.end()
	})
}
