package daemon

import (
	"os"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/volume"
)

func specs(t *testing.T, texts ...string) (list []volume.Spec) {
	t.Helper()
	for _, text := range texts {
		spec, err := volume.ParseSpec(text)
		ok(t, err)
		list = append(list, spec)
	}
	return list
}

// awaitExcluded waits until the replicator is kept off what is mounted at a path, and by what.
func (s *scene) awaitExcluded(path, by string) {
	s.t.Helper()
	s.await("the replicator is kept off "+path, func() bool {
		slot, v := s.slotAt(path)
		return slot != nil && slot.State == topology.SlotExcluded && slot.Why == "by the administrator: --exclude-volume "+by &&
			v.Excluded.Why == slot.Why && !v.Excluded.Since.IsZero()
	})
}

// awaitNote waits until a mount is not followed, for a reason.
func (s *scene) awaitNote(path, reason string) {
	s.t.Helper()
	s.await(path+" is "+reason, func() bool { return s.note(path) == reason })
}

// TestExcludedVolumesAreLeftOut excludes a volume that has been replicated, and one that comes later; what is mounted in one
// that is left out is left out with it.
func TestExcludedVolumesAreLeftOut(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		before := voltest.New(t, "ext4", voltest.At(s.in("before")), voltest.Mkfs("-L", "scratch"))
		write(t, s.in("before/kept"), "1")
		s.begin()
		s.alike()
		s.end()

		s.o.Exclude = specs(t, "LABEL=scratch", "UUID=00-00")
		s.begin()
		s.awaitExcluded(before.Dir, "LABEL=scratch")
		s.awaitPhase(before.Dir, replicate.PhaseLeftOut)
		if u := s.unit(before.Dir, s.dst); !strings.Contains(u.Reason, "--exclude-volume LABEL=scratch") || u.Todo != "" {
			t.Errorf("told of what is left out: %+v", u)
		}
		write(t, s.in("before/unseen"), "1")
		remove(t, s.in("before/kept"))

		later := voltest.New(t, "ext4", voltest.At(s.in("later")), voltest.Mkfs("-L", "scratch"))
		voltest.New(t, "tmpfs", voltest.At(s.in("later/inner")))
		write(t, s.in("later/unseen"), "1")
		s.awaitExcluded(later.Dir, "LABEL=scratch")
		s.awaitNote("later", "left out by --exclude-volume LABEL=scratch")
		s.awaitNote("later/inner", "it is mounted in "+later.Dir+", which is left out")
		write(t, s.in("seen"), "1")
		s.awaitText(s.at("seen"), "1")
		s.quiet(5e9)
		if got := text(t, s.at("before/kept")); got != "1" {
			t.Errorf("the replica of what is left out holds %q", got)
		}
		for _, path := range []string{"before/unseen", "later/unseen"} {
			if _, err := os.Lstat(s.at(path)); err == nil {
				t.Errorf("%s was copied", path)
			}
		}

		voltest.Unmount(t, s.in("later/inner"))
		later.Unmount()
		write(t, s.in("later/bare"), "1")
		s.awaitText(s.at("later/bare"), "1")
		for _, gap := range s.m.ledger.Gaps() {
			if gap.Source == later.Device {
				t.Errorf("a gap is on a volume that is excluded: %+v", gap)
			}
		}
		if log := s.log.String(); strings.Contains(log, "source absent") {
			t.Errorf("a source that is there is called absent:\n%s", log)
		}
		s.end()

		s.o.Exclude = nil
		s.begin()
		s.alike()
		s.end()
	})
}

// TestExclusionByMountPointFollowsTheMount moves a volume from a place that is followed to one that is excluded, and back.
func TestExclusionByMountPointFollowsTheMount(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		on, off := mkdir(t, s.in("on")), mkdir(t, s.in("off"))
		nested := voltest.New(t, "ext4", voltest.At(on))
		s.o.Exclude = specs(t, off)
		s.begin()
		write(t, s.in("on/a"), "1")
		s.alike()
		moveMount(t, nested.Dir, off)
		s.awaitExcluded(off, off)
		s.awaitNote("off", "left out by --exclude-volume "+off)
		write(t, s.in("off/b"), "1")
		s.awaitPhase(on, replicate.PhaseSourceAbsent)
		moveMount(t, off, on)
		s.alike()
		s.end()
	})
}

// TestSourceIsNotExcluded names the volume of SOURCE in every way.
func TestSourceIsNotExcluded(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	for _, spec := range []string{"TYPE=ext4", s.from.Dir, s.from.Device} {
		s.o.Exclude = specs(t, spec)
		_, err := Open(t.Context(), s.o)
		if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), ": it names the volume of SOURCE, "+s.src+", so that") {
			t.Errorf("%s: %v", spec, err)
		}
	}
	s.o.Exclude = specs(t, "TYPE=xfs")
	write(t, s.in("a"), "1")
	s.begin()
	s.alike()
	s.end()
}

// TestDryRunLeavesOutExcludedVolumes foretells that.
func TestDryRunLeavesOutExcludedVolumes(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	voltest.New(t, "tmpfs", voltest.At(s.in("m")))
	write(t, s.in("m/a"), "1")
	s.o.Exclude = specs(t, "TYPE=tmpfs")
	told, _ := foretell(t, s.o)
	if got := told[replicate.ActLeave]["m"].Reason; got != "left out by --exclude-volume TYPE=tmpfs" || told.has("m/a", replicate.ActCopy) {
		t.Errorf("told: %+v", told)
	}
}
