package topology

import "github.com/weirfs/weir"

// View is everything at one epoch, in a fixed order.
type View struct {
	Epoch    uint64
	Complete bool   // every volume that exists has been told
	Missed   string // why not, if events were lost
	Stopping bool
	Frames   []FrameView // from low to high
	Volumes  []VolumeView
	Filters  []FilterView
	Slots    []SlotView // by volume, then filter
	Links    []LinkView // by volume, then frame
}

// FrameView is one frame: the altitudes from Low up to, and without, High.
type FrameView struct {
	ID        FrameID
	Low, High weir.Altitude
	Bounded   bool // High counts: a layer is there
}

// VolumeView is one volume.
type VolumeView struct {
	ID       weir.VolumeID
	Leaving  bool // its last mount is gone; instances remain
	Listed   bool // found by listing
	Layer    bool // it is stacked on others
	Altitude weir.Altitude
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
	Altitude weir.Altitude
	State    SlotState
	Why      string // why declined, failed or excluded
	By       string // who detached it
	Attempts int    // failures in a row
	Hung     bool   // failed or draining, and Setup has not returned
	Declined string // why the filter declines; so it does while it is asked again, until it gives another answer
}

// Owed tells whether an instance is to come by itself, of a filter that has not declined.
func (s SlotView) Owed() bool {
	switch s.State {
	case SlotPending, SlotSettingUp, SlotFailed:
		return s.Declined == ""
	}
	return false
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
	v := View{Epoch: s.epoch, Complete: s.complete, Missed: s.missed, Stopping: s.stopping}
	for id := range s.frames {
		v.Frames = append(v.Frames, s.frameView(FrameID(id)))
	}
	for _, id := range s.volumeIDs() {
		x := s.volumes[id]
		v.Volumes = append(v.Volumes, VolumeView{id, x.left, x.listed, x.layer, x.altitude})
	}
	for _, id := range s.filterIDs() {
		f := s.filters[id]
		v.Filters = append(v.Filters, FilterView{id, f.altitude, f.frame, f.phase == started, f.phase == stopping})
	}
	for _, p := range s.pairs(func(Pair) bool { return true }) {
		v.Slots = append(v.Slots, s.slotView(p))
	}
	for _, j := range s.joints(func(Joint) bool { return true }) {
		l := s.links[j]
		v.Links = append(v.Links, LinkView{j, l.state, l.why, l.attempts})
	}
	return v
}

func (s *State) frameView(id FrameID) FrameView {
	f := s.frames[id]
	return FrameView{id, f.low, f.high, f.bounded}
}

func (s *State) slotView(p Pair) SlotView {
	l := s.slots[p]
	hung := l.claimed && !l.instance && l.state != SlotSettingUp
	return SlotView{p, s.instance(p).Altitude, l.state, l.why, l.by, l.attempts, hung, l.declines()}
}

// Slot returns a slot, if there is one.
func (s *State) Slot(p Pair) (v SlotView, known bool) {
	if _, known = s.slots[p]; known {
		v = s.slotView(p)
	}
	return v, known
}

// FrameOf returns the frame of a filter that is known.
func (s *State) FrameOf(id FilterID) FrameID { return s.filters[id].frame }

// Frame returns a frame.
func (s *State) Frame(id FrameID) FrameView { return s.frameView(id) }

// Stopping tells whether Shutdown has been applied.
func (s *State) Stopping() bool { return s.stopping }
