package topology

import (
	"slices"

	"github.com/weirfs/weir"
)

func (i VolumeArrived) apply(s *State) {
	if _, known := s.volumes[i.Volume]; known || s.stopping {
		return
	}
	s.volumes[i.Volume] = volume{listed: i.Listed, excluded: i.Excluded, layer: i.Layer, altitude: i.Altitude}
	s.emit(VolumePublished{i.Volume, i.Listed})
	for id := range s.frames {
		s.setLink(Joint{FrameID(id), i.Volume}, link{})
	}
	reason := weir.SetupNewlyMounted
	if i.Listed {
		reason = weir.SetupAutomatic
	}
	for _, id := range s.startedFilters() {
		s.oweAll(id, i.Volume, reason)
	}
	s.review(i.Volume)
}

func (i VolumeChanged) apply(s *State) {
	if !s.live(i.Volume) {
		return
	}
	v := s.volumes[i.Volume]
	v.excluded = i.Excluded
	s.volumes[i.Volume] = v
	for _, j := range s.joints(func(j Joint) bool { return j.Volume == i.Volume }) {
		l := s.links[j]
		switch {
		case l.claimed:
			l.stale = true
		case l.state == LinkUnsupported, l.state == LinkFailed:
			l.state, l.why = LinkIdle, ""
		}
		s.setLink(j, l)
	}
	for _, p := range s.pairs(func(p Pair) bool { return p.Volume == i.Volume }) {
		s.changed(p)
	}
	s.review(i.Volume)
}

func (s *State) changed(p Pair) {
	l := s.slots[p]
	switch {
	case l.state == SlotExcluded && l.removed == "":
		s.owe(p, l.reason)
		return
	case l.state != SlotDetached && s.excludes(p, l):
		s.withdraw(p, weir.TeardownExcluded)
		return
	}
	switch l.state {
	case SlotDeclined, SlotExcluded:
		s.settle(p)
	case SlotSettingUp:
		l.stale = true
		s.slots[p] = l
	case SlotFailed:
		l.stale = l.claimed
		s.slots[p] = l
	case SlotAttached:
		s.emit(NotifyChanged{p})
	}
}

func (i VolumeLeft) apply(s *State) {
	v, known := s.volumes[i.Volume]
	if !known || v.left {
		return
	}
	v.left = true
	s.volumes[i.Volume] = v
	for _, p := range s.pairs(func(p Pair) bool { return p.Volume == i.Volume }) {
		s.withdraw(p, weir.TeardownVolumeLeft)
	}
	s.review(i.Volume)
}

func (i FilterRegistered) apply(s *State) {
	if _, known := s.filters[i.Filter]; known || s.stopping {
		return
	}
	if _, _, misplaced := s.Misplaced(i); misplaced {
		return
	}
	f := filter{altitude: i.Altitude, instances: i.Instances, frame: s.frameFor(i.Altitude)}
	if len(f.instances) == 0 {
		f.instances = []Instance{{Altitude: i.Altitude}}
	}
	for _, in := range f.instances {
		if reach := &s.frames[f.frame].reach; reach.Compare(in.Altitude) < 0 {
			*reach = in.Altitude
		}
	}
	s.filters[i.Filter] = f
}

func (i FilterStarted) apply(s *State) {
	f, known := s.filters[i.Filter]
	if !known || f.phase != registered || s.stopping {
		return
	}
	f.phase = started
	s.filters[i.Filter] = f
	for _, v := range s.volumeIDs() {
		if s.live(v) {
			s.oweAll(i.Filter, v, weir.SetupAutomatic)
			s.review(v)
		}
	}
}

func (i FilterStopping) apply(s *State) {
	f, known := s.filters[i.Filter]
	if !known || f.phase == stopping && !i.Mandatory {
		return
	}
	f.phase = stopping
	s.filters[i.Filter] = f
	reason := weir.TeardownFilterUnload
	if i.Mandatory {
		reason = weir.TeardownMandatoryUnload
	}
	for _, p := range s.pairs(func(p Pair) bool { return p.Filter == i.Filter }) {
		s.withdraw(p, reason)
		s.review(p.Volume)
	}
	s.forget(i.Filter)
}

// forget removes a filter that is being stopped once it has no slot.
func (s *State) forget(id FilterID) {
	if f, known := s.filters[id]; !known || f.phase != stopping {
		return
	}
	for p := range s.slots {
		if p.Filter == id {
			return
		}
	}
	delete(s.filters, id)
	s.emit(FilterGone{id})
}

func (i Attach) apply(s *State) {
	l, known := s.slots[i.Pair]
	if !known || !s.wanted(i.Pair) || s.below(i.Pair) {
		return
	}
	l.by, l.removed = "", ""
	switch l.state {
	case SlotDetached, SlotRemoved, SlotDeclined, SlotExcluded, SlotFailed, SlotDraining:
		l.reason, l.attempts = weir.SetupManual, 0
	}
	s.slots[i.Pair] = l
	if !l.claimed && !l.instance && l.state != SlotPending {
		s.settle(i.Pair)
	}
	s.review(i.Pair.Volume)
}

func (i Detach) apply(s *State) {
	s.take(i.Pair, weir.TeardownManual, func(l *slot) { l.by = i.By })
}

func (i Remove) apply(s *State) {
	s.take(i.Pair, weir.TeardownInternalError, func(l *slot) { l.removed = i.Why })
}

func (i Unconcern) apply(s *State) {
	l, known := s.slots[i.Pair]
	if !known || !s.wanted(i.Pair) || l.state != SlotAttached {
		return
	}
	l.declined = refusal{why: i.Why}
	s.slots[i.Pair] = l
	s.withdraw(i.Pair, weir.TeardownUnconcerned)
	s.review(i.Pair.Volume)
}

// take takes an instance away, or cancels it before it exists, until somebody attaches it by hand: note says so.
func (s *State) take(p Pair, reason weir.TeardownReason, note func(*slot)) {
	l, known := s.slots[p]
	if !known || !s.wanted(p) || s.below(p) {
		return
	}
	note(&l)
	s.slots[p] = l
	s.withdraw(p, reason)
	s.review(p.Volume)
}

func (i Claim) apply(s *State) {
	if i.Work.Kind.ofSlot() {
		s.claimSlot(i.Work)
	} else {
		s.claimLink(i.Work)
	}
}

func (i Finished) apply(s *State) {
	switch i.Work.Kind {
	case Ask, SetUp:
		s.finishSetUp(i)
	case TearDown:
		s.finishTearDown(i)
	case AttachFrame:
		s.finishAttach(i)
	case DetachFrame:
		s.finishDetach(i)
	}
	s.review(i.Work.Volume)
	if i.Work.Kind.ofSlot() {
		s.forget(i.Work.Filter)
	}
}

func (i TimedOut) apply(s *State) {
	switch i.Work.Kind {
	case Ask, SetUp:
		s.timeOutSetUp(i)
	case AttachFrame:
		s.timeOutAttach(i)
	}
}

func (i RetryDue) apply(s *State) {
	if i.Work.Kind.ofSlot() {
		s.retrySlot(i.Work.Pair())
	} else {
		s.retryLink(i.Work.joint())
	}
}

func (i DiscoveryMissed) apply(s *State) { s.complete, s.missed = false, i.Why }

func (i DiscoveryListed) apply(s *State) { s.complete, s.missed = true, "" }

func (i Shutdown) apply(s *State) {
	if s.stopping {
		return
	}
	s.stopping = true
	for _, p := range s.pairs(func(Pair) bool { return !s.faults.keepInstances }) {
		s.withdraw(p, weir.TeardownShutdown)
	}
	for _, v := range s.volumeIDs() {
		s.review(v)
	}
}

func (s *State) volumeIDs() []weir.VolumeID {
	var ids []weir.VolumeID
	for id := range s.volumes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *State) startedFilters() []FilterID {
	var ids []FilterID
	for id, f := range s.filters {
		if f.phase == started {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *State) filterIDs() []FilterID {
	var ids []FilterID
	for id := range s.filters {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
