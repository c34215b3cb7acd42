package daemon

import (
	"path/filepath"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/topology"
)

// TestFilterIsOwedWhatIsOutOfReach loads a filter that declines nothing while another mount hides a volume: it is told that
// nobody can reach it, until that mount has left.
func TestFilterIsOwedWhatIsOutOfReach(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		around := mkdir(t, filepath.Join(t.TempDir(), "around"))
		hidden := voltest.New(t, "ext4", voltest.At(filepath.Join(around, "m")))
		over := voltest.New(t, "tmpfs", voltest.At(around))
		isHidden := func(info weir.VolumeInfo) bool { return info.Source == hidden.Device }
		s.begin()
		s.alike()
		ok(t, s.m.manager.Start(attachesTo(t, "all", func(string) {})))
		s.await("the volume is out of reach", func() bool {
			slot, v := s.slotOn("all", isHidden)
			return slot != nil && slot.State == topology.SlotPending && v.Info.OutOfReach && v.Links[0].State == topology.LinkFailed
		})
		over.Unmount()
		s.await("the volume is in reach", func() bool {
			slot, v := s.slotOn("all", isHidden)
			return slot != nil && slot.State == topology.SlotAttached && !v.Info.OutOfReach
		})
		s.end()
	})
}
