package topology

import "github.com/weirfs/weir"

// slot is the debt for one pair. Exactly these combinations occur:
//
//	pending, declined, detached, excluded   neither claimed nor instance
//	setting up                              claimed; asked if it is Setup that runs
//	failed                                  claimed if the filter is still out, having timed out
//	attached                                instance
//	draining                                claimed (Setup is to be undone), or instance, or both (Teardown runs)
type slot struct {
	state    SlotState
	by       string // who detached it; sticky until an attach by hand
	why      string
	reason   weir.SetupReason
	teardown weir.TeardownReason
	attempts int
	asked    bool // the filter has said that the volume concerns it
	claimed  bool // a runner asks, or is inside Setup or Teardown
	instance bool // Setup has succeeded and Teardown has not ended
	stale    bool // the volume changed while the filter was asked, or Setup ran
}

// setSlot stores the slot and tells the ledger if its state is new.
func (s *State) setSlot(p Pair, l slot) {
	old, known := s.slots[p]
	s.slots[p] = l
	if !known || old.state != l.state || old.why != l.why {
		why := l.why
		if l.state == SlotDetached {
			why = l.by
		}
		s.emit(Recorded{Pair: p, State: l.state, Why: why})
	}
}

// owe makes the slot of a pair that has just become due.
func (s *State) owe(p Pair, reason weir.SetupReason) {
	if s.faults.oweNothing {
		return
	}
	l := slot{reason: reason}
	if why := s.volumes[p.Volume].excluded; why != "" {
		l.state, l.why = SlotExcluded, why
	}
	s.setSlot(p, l)
	s.offer(p)
}

// offer offers what a pending slot needs next: that its filter is asked, or its set-up, as soon as its frame's link is
// settled.
func (s *State) offer(p Pair) {
	if s.slots[p].state == SlotPending && s.wanted(p) && s.due(p) {
		s.emit(Offer{s.slots[p].next(p)})
	}
}

// due tells whether nothing keeps the next piece of work of a pending slot.
func (s *State) due(p Pair) bool { return !s.slots[p].asked || s.links[s.jointOf(p)].ready() }

// next is what a slot that has no instance is waiting for, or what runs.
func (l slot) next(p Pair) Work {
	if l.asked {
		return Work{Kind: SetUp, Filter: p.Filter, Volume: p.Volume}
	}
	return Work{Kind: Ask, Filter: p.Filter, Volume: p.Volume}
}

// settle decides about a slot that has neither runner nor instance.
func (s *State) settle(p Pair) {
	l := s.slots[p]
	switch {
	case !s.wanted(p):
		delete(s.slots, p)
		s.emit(Recorded{Pair: p, State: l.state, Ended: true})
	case l.by != "" && !s.faults.forgetDetach:
		s.setSlot(p, slot{state: SlotDetached, by: l.by, reason: l.reason})
	default:
		s.setSlot(p, slot{reason: l.reason, attempts: l.attempts, asked: l.asked && l.state == SlotFailed})
		s.offer(p)
	}
}

// withdraw takes back what has been owed: at once if nobody works on it, else by way of draining.
func (s *State) withdraw(p Pair, reason weir.TeardownReason) {
	l := s.slots[p]
	switch {
	case l.state == SlotDraining:
	case l.instance:
		l.state, l.why, l.teardown = SlotDraining, "", reason
		s.setSlot(p, l)
		s.emit(Offer{Work{Kind: TearDown, Filter: p.Filter, Volume: p.Volume}})
	case l.claimed:
		l.state, l.why, l.teardown = SlotDraining, "", reason
		s.setSlot(p, l)
		s.emit(Cancel{l.next(p)})
	default:
		s.settle(p)
	}
}

func (s *State) claimSlot(w Work) {
	p := w.pair()
	l, known := s.slots[p]
	switch {
	case !known || l.claimed:
		return
	case w == l.next(p) && l.state == SlotPending && s.wanted(p) && s.due(p):
		l.state, l.claimed, l.stale = SlotSettingUp, true, false
	case w.Kind == TearDown && l.state == SlotDraining && l.instance:
		l.claimed = true
	default:
		return
	}
	s.setSlot(p, l)
	s.emit(Start{Work: w, Setup: l.reason, Teardown: l.teardown})
}

// finishSetUp takes the outcome of an Ask or a SetUp.
func (s *State) finishSetUp(f Finished) {
	p := f.Work.pair()
	l := s.slots[p]
	if !l.claimed || l.instance {
		return
	}
	l.claimed = false
	if f.Outcome == OK && l.asked {
		l.instance = true
		s.commit(p, l)
		return
	}
	s.slots[p] = l
	switch {
	case l.state == SlotDraining:
		s.settle(p)
	case f.Outcome == OK:
		s.setSlot(p, slot{reason: l.reason, attempts: l.attempts, asked: true})
		s.offer(p)
	case f.Outcome == Declined && l.stale:
		s.settle(p) // what it declined is not what is mounted now
	case f.Outcome == Declined:
		l.state, l.why = SlotDeclined, f.Why
		s.setSlot(p, l)
	default:
		l.state, l.why = SlotFailed, f.Why
		l.attempts++
		s.setSlot(p, l)
		s.emit(Retry{f.Work, l.attempts})
	}
}

// commit looks again whether the instance is still wanted, and asks for its teardown if not.
func (s *State) commit(p Pair, l slot) {
	if l.state == SlotDraining && !s.faults.commitBlind {
		s.setSlot(p, l)
		s.emit(Offer{Work{Kind: TearDown, Filter: p.Filter, Volume: p.Volume}})
		return
	}
	stale := l.stale
	l.state, l.why, l.attempts, l.stale = SlotAttached, "", 0, false
	s.setSlot(p, l)
	s.emit(Commit{p})
	if stale {
		s.emit(NotifyChanged{p})
	}
}

func (s *State) finishTearDown(f Finished) {
	p := f.Work.pair()
	l := s.slots[p]
	if !l.claimed || !l.instance {
		return
	}
	l.claimed, l.instance = false, false
	s.slots[p] = l
	s.settle(p)
}

func (s *State) timeOutSetUp(t TimedOut) {
	l := s.slots[t.Work.pair()]
	if l.state != SlotSettingUp {
		return
	}
	l.state, l.why = SlotFailed, t.Why
	s.setSlot(t.Work.pair(), l)
	s.emit(Cancel{t.Work})
}

func (s *State) retrySlot(p Pair) {
	if l := s.slots[p]; l.state == SlotFailed && !l.claimed {
		s.settle(p)
	}
}
