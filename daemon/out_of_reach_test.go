package daemon

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// TestFilterIsOwedWhatIsOutOfReach loads a filter that declines nothing while another mount hides a volume, as it did when weir
// came or since then: it is told that nobody can reach it, until that mount has left. So it is of one that holds no data.
func TestFilterIsOwedWhatIsOutOfReach(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		around := mkdir(t, filepath.Join(t.TempDir(), "around"))
		early := voltest.New(t, "ext4", voltest.At(mkdir(t, filepath.Join(around, "early"))))
		late := voltest.New(t, "ext4", voltest.At(mkdir(t, filepath.Join(around, "late"))))
		pseudo := mkdir(t, filepath.Join(around, "pseudo"))
		ok(t, unix.Mount("hides-nothing", pseudo, "devpts", 0, ""))
		t.Cleanup(func() { _ = unix.Unmount(pseudo, 0) })
		over := voltest.New(t, "tmpfs", voltest.At(early.Dir))
		s.begin()
		s.alike()
		s.await("a volume is looked at", func() bool {
			_, v := s.slotAt(late.Dir)
			return v.Info.Sight == weir.SightFull
		})
		above := voltest.New(t, "tmpfs", voltest.At(around))
		ok(t, s.m.manager.Start(attachesTo(t, "all", func(string) {})))
		seen := func(source string) (topology.SlotState, manager.LinkSnapshot) {
			slot, v := s.slotOn("all", func(info weir.VolumeInfo) bool { return info.Source == source })
			if slot == nil {
				return 0, manager.LinkSnapshot{}
			}
			return slot.State, v.Links[slot.Frame]
		}
		for _, source := range []string{early.Device, late.Device, "hides-nothing"} {
			s.await(source+" is out of reach", func() bool {
				state, link := seen(source)
				return state == topology.SlotPending && link.OutOfReach == "other mounts hide all of its mounts"
			})
		}
		above.Unmount()
		over.Unmount()
		for _, source := range []string{early.Device, late.Device} {
			s.await(source+" is in reach", func() bool {
				state, link := seen(source)
				return state == topology.SlotAttached && link.OutOfReach == ""
			})
		}
		s.end()
	})
}
