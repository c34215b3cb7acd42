package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		if why := s.notFollowed("p"); !strings.Contains(why, "another volume") || !strings.Contains(why, "--replaced") {
			t.Errorf("the reason is %q", why)
		}
		still(t, "the replica of what is covered", func() bool {
			return text(t, s.at("p/x/f")) == "1" && text(t, s.at("p/x/v/a")) == "1" && absent(s.at("p/evil"))
		})
		over.Unmount()
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
	if why := s.notFollowed("p"); !strings.Contains(why, "1200 names") {
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
