package topology

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weirfs/weir"
)

// State is the machine. The zero value is not usable; see New.
type State struct {
	epoch    uint64
	frames   []frame // from low to high; their intervals follow one another without a hole
	volumes  map[weir.VolumeID]volume
	filters  map[FilterID]filter
	slots    map[Pair]slot
	links    map[Joint]link
	complete bool   // every volume that exists has been told
	missed   string // why not, if events were lost
	stopping bool
	down     bool

	out []Effect // of the running Apply

	faults faults
}

// faults break a promise on purpose. They are set by tests only, which prove that they would notice.
type faults struct {
	oweNothing     bool // publish without owing
	bareFrame      bool // make a frame without links to the volumes that are there
	commitBlind    bool // commit without looking again
	forgetDetach   bool // ignore that a detach is sticky
	observeFirst   bool // observe what no filter was asked about
	keepAsked      bool // set up what was declined without asking again
	staleAnswer    bool // ignore that the volume changed while the filter was asked
	leaveUnclaimed bool // leave the cancelling of unclaimed work to whoever claims it
	claimDying     bool // claim without looking whether the volume is there still; unclaimed work is left to the claim
	claimTwice     bool // look and claim in two steps
	keepInstances  bool // shut down without tearing down
	stayPolite     bool // do not tell that an unloading has become mandatory
}

type volume struct {
	left     bool
	listed   bool
	excluded string
	layer    bool // it is stacked on others, at altitude
	altitude weir.Altitude
}

type filter struct {
	altitude  weir.Altitude
	instances []Instance
	frame     FrameID
	phase     phase
}

type phase uint8

const (
	registered phase = iota
	started
	stopping
)

// New returns a machine without volumes and filters.
func New() *State {
	return &State{
		volumes: map[weir.VolumeID]volume{},
		filters: map[FilterID]filter{},
		slots:   map[Pair]slot{},
		links:   map[Joint]link{},
	}
}

// Apply takes one input and returns what is to be done. An input that does not fit the state, such as the
// claim of work that is no longer wanted, has no effect.
func (s *State) Apply(input Input) []Effect {
	s.epoch++
	s.out = nil
	input.apply(s)
	if s.stopping && !s.down && len(s.slots) == 0 && s.unlinked() {
		s.down = true
		s.emit(Down{})
	}
	return s.out
}

// Clone returns an independent copy.
func (s *State) Clone() *State {
	c := *s
	c.frames = slices.Clone(s.frames)
	c.volumes, c.filters = maps.Clone(s.volumes), maps.Clone(s.filters)
	c.slots, c.links = maps.Clone(s.slots), maps.Clone(s.links)
	c.out = nil
	return &c
}

func (s *State) emit(e Effect) { s.out = append(s.out, e) }

// wanted tells whether there may be an instance for the pair at all.
func (s *State) wanted(p Pair) bool {
	return s.live(p.Volume) && s.filters[p.Filter].phase == started
}

// live tells whether the volume is there and the machine is not being stopped.
func (s *State) live(id weir.VolumeID) bool {
	v, known := s.volumes[id]
	return known && !v.left && !s.stopping
}

func (s *State) unlinked() bool {
	for _, l := range s.links {
		if l.state != LinkIdle && l.state != LinkUnsupported || l.claimed {
			return false
		}
	}
	return true
}

func comparePairs(a, b Pair) int {
	return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Instance, b.Instance))
}

func compareJoints(a, b Joint) int {
	return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Frame, b.Frame))
}

// pairs returns the slots that keep says, in a fixed order, so that equal inputs have equal effects.
func (s *State) pairs(keep func(Pair) bool) []Pair {
	var list []Pair
	for p := range s.slots {
		if keep(p) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, comparePairs)
	return list
}

func (s *State) joints(keep func(Joint) bool) []Joint {
	var list []Joint
	for j := range s.links {
		if keep(j) {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, compareJoints)
	return list
}
