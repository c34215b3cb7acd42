package topology

import "github.com/weirfs/weir"

// link is a frame on a volume. held tells whether the plane's attachment exists.
type link struct {
	state    LinkState
	why      string
	attempts int
	claimed  bool // a runner is inside the plane
	held     bool
	stale    bool // the volume changed while the plane attached
	missed   bool // instances were set up while nothing was observed
}

// ready tells whether instances may be set up.
func (l link) ready() bool { return l.state == LinkAttached || l.state == LinkUnsupported }

func (s *State) jointOf(p Pair) Joint { return Joint{s.filters[p.Filter].frame, p.Volume} }

func (s *State) setLink(j Joint, l link) {
	old, known := s.links[j]
	s.links[j] = l
	if !known || old.state != l.state || old.why != l.why {
		s.emit(LinkRecorded{Joint: j, State: l.state, Why: l.why})
	}
}

// needed tells whether a slot of the frame is, or is about to be, an instance on the volume.
func (s *State) needed(j Joint) bool {
	for p, l := range s.slots {
		if s.jointOf(p) != j {
			continue
		}
		switch l.state {
		case SlotPending, SlotSettingUp, SlotAttached, SlotDraining, SlotFailed:
			if l.asked || s.faults.observeFirst {
				return true
			}
		}
	}
	return false
}

// review brings the links of a volume in line with what its slots need, and forgets the volume when it
// has left and nothing refers to it.
func (s *State) review(volume weir.VolumeID) {
	for _, j := range s.joints(func(j Joint) bool { return j.Volume == volume }) {
		s.reviewLink(j)
	}
	v, known := s.volumes[volume]
	if !known || !v.left {
		return
	}
	for j := range s.links {
		if j.Volume == volume {
			return
		}
	}
	for p := range s.slots {
		if p.Volume == volume {
			return
		}
	}
	delete(s.volumes, volume)
	s.emit(VolumeGone{volume})
}

func (s *State) reviewLink(j Joint) {
	l := s.links[j]
	needed := s.needed(j)
	work := Work{Frame: j.Frame, Volume: j.Volume}
	switch {
	case l.claimed: // decided when the runner returns
		if !needed && l.state == LinkAttaching {
			l.state = LinkDraining
			s.setLink(j, l)
			work.Kind = AttachFrame
			s.emit(Cancel{work})
		}
	case l.held && !needed && l.state == LinkAttached:
		l.state, l.why = LinkDraining, ""
		s.setLink(j, l)
		work.Kind = DetachFrame
		s.emit(Offer{work})
	case l.held && needed && l.state == LinkDraining:
		l.state = LinkAttached // nobody has claimed the detach
		s.setLink(j, l)
		s.offerAll(j)
	case l.held:
	case !s.live(j.Volume) && !needed:
		s.dropLink(j, l)
	case !needed && l.state != LinkUnsupported && l.state != LinkIdle:
		s.setLink(j, link{missed: l.missed})
	case needed && s.live(j.Volume) && l.state == LinkIdle:
		l.state = LinkPending
		s.setLink(j, l)
		work.Kind = AttachFrame
		s.emit(Offer{work})
	}
}

// dropLink removes the link of a volume that has left; in a shutdown it becomes idle.
func (s *State) dropLink(j Joint, l link) {
	if s.volumes[j.Volume].left {
		delete(s.links, j)
	} else if l.state != LinkIdle {
		s.setLink(j, link{})
	}
}

func (s *State) offerAll(j Joint) {
	for _, p := range s.pairs(func(p Pair) bool { return s.jointOf(p) == j }) {
		s.offer(p)
	}
}

func (s *State) claimLink(w Work) {
	j := w.joint()
	l, known := s.links[j]
	switch {
	case !known || l.claimed:
		return
	case w.Kind == AttachFrame && l.state == LinkPending:
		l.state, l.stale = LinkAttaching, false
	case w.Kind == DetachFrame && l.state == LinkDraining && l.held:
	default:
		return
	}
	l.claimed = true
	s.setLink(j, l)
	s.emit(Start{Work: w})
}

func (s *State) finishAttach(f Finished) {
	j := f.Work.joint()
	l := s.links[j]
	if !l.claimed || l.held {
		return
	}
	l.claimed = false
	wanted := l.state != LinkDraining
	switch {
	case f.Outcome == OK:
		l.held, l.why, l.attempts = true, "", 0
		l.state = LinkAttached // a review turns it to draining if nobody needs it
	case !wanted, f.Outcome == Unsupported && l.stale:
		l.state = LinkIdle // a review drops it or tries again
	case f.Outcome == Unsupported:
		l.state, l.why, l.missed = LinkUnsupported, f.Why, true
	default:
		l.state, l.why = LinkFailed, f.Why
		l.attempts++
		s.emit(Retry{f.Work, l.attempts})
	}
	s.setLink(j, l)
	if l.held && l.missed {
		s.observed(j)
	}
	if l.ready() {
		s.offerAll(j)
	}
	s.review(j.Volume)
}

// observed tells the instances that were set up while the volume could not be observed.
func (s *State) observed(j Joint) {
	l := s.links[j]
	l.missed = false
	s.links[j] = l
	for _, p := range s.pairs(func(p Pair) bool { return s.jointOf(p) == j }) {
		if st := s.slots[p].state; st == SlotAttached || st == SlotSettingUp {
			s.emit(NotifyObserved{p})
		}
	}
}

func (s *State) finishDetach(f Finished) {
	j := f.Work.joint()
	l := s.links[j]
	if !l.claimed || !l.held {
		return
	}
	s.setLink(j, link{})
	s.review(j.Volume)
}

func (s *State) timeOutAttach(t TimedOut) {
	j := t.Work.joint()
	l := s.links[j]
	if l.state != LinkAttaching {
		return
	}
	l.state, l.why = LinkFailed, t.Why
	s.setLink(j, l)
	s.emit(Cancel{t.Work})
}

func (s *State) retryLink(j Joint) {
	if l := s.links[j]; l.state == LinkFailed && !l.claimed {
		l.state = LinkIdle
		s.links[j] = l
		s.review(j.Volume)
	}
}
