package topology_test

import (
	"fmt"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// TestScheduleThatMissesAVolume replays how spec/attach.pml misses a volume with LIST_MOUNT and LIST_FRAME: both that
// come list what is there, and publish themselves later.
//
//	load: lists volumes
//	mount: lists filters and frames
//	load: publishes frame 1
//	mount: publishes volume 1
//
// Topology has no step that lists: who publishes owes in the same step. What is left of the schedule is where in a load
// the volume arrives, and nowhere is it missed.
func TestScheduleThatMissesAVolume(t *testing.T) {
	load := []topology.Input{
		topology.FilterRegistered{Filter: 2, Altitude: weir.MustAltitude("200000")},
		topology.FilterStarted{Filter: 2},
	}
	for place := range len(load) + 1 {
		t.Run(fmt.Sprintf("the volume arrives after %d steps of the load", place), func(t *testing.T) {
			w := atRest(t)
			for i, input := range load {
				if i == place {
					w.apply(topology.VolumeArrived{Volume: 2})
				}
				w.apply(input)
			}
			if place == len(load) {
				w.apply(topology.VolumeArrived{Volume: 2})
			}
			if n := w.state.View().Frames; len(n) != 2 {
				t.Fatalf("frames %v: the load was to make the second", n)
			}
			w.work()
			for _, s := range w.state.View().Slots {
				if s.State != topology.SlotAttached && s.Pair.Volume != layer {
					t.Errorf("%v is %v", s.Pair, s.State)
				}
			}
		})
	}
}

const layer weir.VolumeID = 9

// owner is a topology and the work that it has offered.
type owner struct {
	t      *testing.T
	state  *topology.State
	offers []topology.Work
}

// atRest returns the model's first state: filter 1 on volume 1, below a layer above which filter 2 will begin a frame.
func atRest(t *testing.T) *owner {
	w := &owner{t: t, state: topology.New()}
	w.apply(topology.FilterRegistered{Filter: 1, Altitude: weir.MustAltitude("100000")})
	w.apply(topology.FilterStarted{Filter: 1})
	w.apply(topology.VolumeArrived{Volume: 1, Listed: true})
	w.apply(topology.VolumeArrived{Volume: layer, Listed: true, Layer: true, Altitude: weir.MustAltitude("139998.99")})
	w.work()
	return w
}

// apply checks after every input that no pair and no joint is missing.
func (w *owner) apply(input topology.Input) {
	w.t.Helper()
	for _, effect := range w.state.Apply(input) {
		if offer, ok := effect.(topology.Offer); ok {
			w.offers = append(w.offers, offer.Work)
		}
	}
	view, slots, links := w.state.View(), map[topology.Pair]bool{}, map[topology.Joint]bool{}
	for _, s := range view.Slots {
		slots[s.Pair] = true
	}
	for _, l := range view.Links {
		links[l.Joint] = true
	}
	for _, v := range view.Volumes {
		for _, f := range view.Filters {
			if f.Started && !slots[topology.Pair{Filter: f.ID, Volume: v.ID}] {
				w.t.Errorf("after %T %+v: filter %d owes volume %d nothing", input, input, f.ID, v.ID)
			}
		}
		for n := range view.Frames {
			if !links[topology.Joint{Frame: topology.FrameID(n), Volume: v.ID}] {
				w.t.Errorf("after %T %+v: frame %d misses volume %d", input, input, n, v.ID)
			}
		}
	}
}

// work does all that is offered.
func (w *owner) work() {
	for len(w.offers) > 0 {
		work := w.offers[0]
		w.offers = w.offers[1:]
		w.apply(topology.Claim{Work: work})
		w.apply(topology.Finished{Work: work})
	}
}
