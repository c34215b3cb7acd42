package daemon

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

type nothing struct{}

func (nothing) Completed([]weir.Operation)                    {}
func (nothing) Lost(string)                                   {}
func (nothing) Changed()                                      {}
func (nothing) Teardown(context.Context, weir.TeardownReason) {}

// TestFilterIsOwedWhatIsOutOfReach loads a filter that declines nothing while another mount hides a volume: it is told that
// nobody can reach it, until that mount has left.
func TestFilterIsOwedWhatIsOutOfReach(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		around := mkdir(t, filepath.Join(t.TempDir(), "around"))
		hidden := voltest.New(t, "ext4", voltest.At(filepath.Join(around, "m")))
		over := voltest.New(t, "tmpfs", voltest.At(around))
		s.begin()
		s.alike()
		ok(t, s.m.manager.Start(&weir.Filter{
			Name: "all", Altitude: weir.MustAltitude("365000"), Wants: weir.Changes,
			Setup: func(context.Context, weir.Site) (weir.Instance, error) { return nothing{}, nil },
		}))
		s.await("the volume is out of reach", func() bool {
			slot, v := s.slotOn("all", hidden.Device)
			return slot != nil && slot.State == topology.SlotPending && v.Info.OutOfReach && v.Links[0].State == topology.LinkFailed
		})
		over.Unmount()
		s.await("the volume is in reach", func() bool {
			slot, v := s.slotOn("all", hidden.Device)
			return slot != nil && slot.State == topology.SlotAttached && !v.Info.OutOfReach
		})
		s.end()
	})
}

// slotOn returns the slot of a filter on the volume of a device.
func (s *scene) slotOn(filter, device string) (*manager.SlotSnapshot, manager.VolumeSnapshot) {
	snapshot := s.m.manager.Snapshot()
	for _, v := range snapshot.Volumes {
		if v.Info.Source == device {
			return snapshot.Slot(filter, v.Info.ID), v
		}
	}
	return nil, manager.VolumeSnapshot{}
}
