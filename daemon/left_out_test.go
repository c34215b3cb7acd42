package daemon

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
