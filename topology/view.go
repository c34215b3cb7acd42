package topology

import "github.com/weirfs/weir"

// View is everything at one epoch, in a fixed order.
type View struct {
	Epoch    uint64
	Complete bool   // every volume that exists has been told
	Missed   string // why not, if events were lost
	Stopping bool
	Frames   int
	Volumes  []VolumeView
	Filters  []FilterView
	Slots    []SlotView // by volume, then filter
	Links    []LinkView // by volume, then frame
}

// VolumeView is one volume.
type VolumeView struct {
	ID      weir.VolumeID
	Leaving bool // its last mount is gone; instances remain
	Listed  bool // found by listing
}

// FilterView is one filter.
type FilterView struct {
	ID       FilterID
	Altitude weir.Altitude
	Frame    FrameID
	Started  bool
	Stopping bool
}

// SlotView is one slot.
type SlotView struct {
	Pair     Pair
	State    SlotState
	Why      string // why declined, failed or excluded
	By       string // who detached it
	Attempts int    // failures in a row
	Hung     bool   // failed or draining, and Setup has not returned
}

// LinkView is one link.
type LinkView struct {
	Joint    Joint
	State    LinkState
	Why      string
	Attempts int
}

// View returns the state as it is between two inputs.
func (s *State) View() View {
	v := View{Epoch: s.epoch, Complete: s.complete, Missed: s.missed, Stopping: s.stopping, Frames: len(s.frames)}
	for _, id := range s.volumeIDs() {
		v.Volumes = append(v.Volumes, VolumeView{id, s.volumes[id].left, s.volumes[id].listed})
	}
	for _, id := range s.filterIDs() {
		f := s.filters[id]
		v.Filters = append(v.Filters, FilterView{id, f.altitude, f.frame, f.phase == started, f.phase == stopping})
	}
	for _, p := range s.pairs(func(Pair) bool { return true }) {
		l := s.slots[p]
		hung := l.claimed && !l.instance && l.state != SlotSettingUp
		v.Slots = append(v.Slots, SlotView{p, l.state, l.why, l.by, l.attempts, hung})
	}
	for _, j := range s.joints(func(Joint) bool { return true }) {
		l := s.links[j]
		v.Links = append(v.Links, LinkView{j, l.state, l.why, l.attempts})
	}
	return v
}

// Stopping tells whether Shutdown has been applied.
func (s *State) Stopping() bool { return s.stopping }
