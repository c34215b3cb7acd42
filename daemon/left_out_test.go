package daemon

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/topology"
)

// awaitDeclined waits until the replicator has declined what is mounted at a path, for a reason.
func (s *scene) awaitDeclined(path, why string) {
	s.t.Helper()
	s.await("the replicator declines "+path, func() bool {
		slot, _ := s.slotAt(path)
		return slot != nil && slot.State == topology.SlotDeclined && strings.HasSuffix(slot.Why, why)
	})
}

// TestLeftOutVolumesOweNothing mounts below the source what the mirror leaves out: the filter has no instance there, since
// nobody would ever make the scan that closes its gaps.
func TestLeftOutVolumesOweNothing(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		rules, err := policy.ParseRules([]string{"scratch"})
		ok(t, err)
		s.o.Rules = rules
		mkdir(t, s.in("sys"))
		voltest.Bind(t, "/sys", s.in("sys"))
		s.begin()
		proc := mkdir(t, s.in("proc"))
		ok(t, unix.Mount("proc", proc, "proc", 0, ""))
		t.Cleanup(func() { _ = unix.Unmount(proc, unix.MNT_DETACH) })
		voltest.New(t, "tmpfs", voltest.At(s.in("scratch")))
		one, single := filepath.Join(voltest.New(t, "tmpfs").Dir, "one"), s.in("single")
		write(t, one, "1")
		write(t, single, "covered")
		ok(t, unix.Mount(one, single, "", unix.MS_BIND, ""))
		t.Cleanup(func() { _ = unix.Unmount(single, unix.MNT_DETACH) })

		owesNothing := func() {
			t.Helper()
			for _, path := range []string{s.in("sys"), proc} {
				s.awaitDeclined(path, "it is of a pseudo file system, which holds no data")
			}
			s.awaitDeclined(s.in("scratch"), "excluded")
			s.awaitDeclined(single, "a single file is mounted here; weir follows directories")
			s.quiet(10e9)
			for _, gap := range s.m.ledger.Gaps() {
				if gap.Open() {
					t.Errorf("a gap is open: %+v", gap)
				}
			}
		}
		owesNothing()
		ok(t, s.m.manager.Attach("replicate", "", s.volumeAt(proc)))
		owesNothing()
		ok(t, s.m.manager.Unload(t.Context(), "replicate", true, ""))
		ok(t, controlled{s.m.manager, s.m}.Load("replicate", nil))
		owesNothing()
		s.end()
		s.begin()
		owesNothing()

		ok(t, unix.Unmount(proc, 0))
		write(t, filepath.Join(proc, "bare"), "1")
		s.awaitText(s.at("proc/bare"), "1")
		s.end()
	})
}

// TestVolumeWhoseLastMountBelowTheSourceLeavesIsDeclined binds a directory of a volume below the source, and unmounts it while the
// volume stays elsewhere: at once, so that its scan may not have ended, and after it was compared.
func TestVolumeWhoseLastMountBelowTheSourceLeavesIsDeclined(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		memory := voltest.New(t, "tmpfs").Dir
		write(t, filepath.Join(mkdir(t, filepath.Join(memory, "d")), "f"), "1")
		bound, again := mkdir(t, s.in("bound")), mkdir(t, s.in("again"))
		s.begin()
		s.alike()
		inSync := func(place string) {
			t.Helper()
			s.await(place+" is in sync", func() bool {
				u, known := s.find(place, s.dst)
				return known && u.Phase == replicate.PhaseInSync
			})
		}
		owesNothing := func() {
			t.Helper()
			s.awaitDeclined(memory, "the volume shows no part of "+s.src)
			for _, gap := range s.m.ledger.Gaps() {
				if gap.Open() && gap.Volume != 0 { // Of a mount that had gone too soon nobody knows what it showed.
					t.Errorf("a gap is open: %+v", gap)
				}
			}
		}
		owesNothing()
		for _, wait := range []bool{true, false, true} {
			voltest.Bind(t, filepath.Join(memory, "d"), bound)
			if wait {
				inSync(bound)
			}
			voltest.Bind(t, filepath.Join(memory, "d"), again)
			ok(t, unix.Unmount(bound, 0))
			if wait {
				inSync(again)
				if slot, _ := s.slotAt(memory); slot == nil || slot.State != topology.SlotAttached {
					t.Errorf("it is shown at another place below the source: %+v", slot)
				}
			}
			ok(t, unix.Unmount(again, 0))
			owesNothing()
		}
		s.end()
		s.begin()
		inSync(s.src)
		owesNothing()
		s.end()
	})
}
