package topology

import (
	"fmt"

	"github.com/weirfs/weir"
)

// ByDefinition is who has detached an instance that is attached by hand only.
const ByDefinition = "its definition"

// slot is the debt for one pair. Exactly these combinations occur:
//
//	pending, declined, detached, removed, excluded   neither claimed nor instance
//	setting up                                       claimed; asked if it is Setup that runs
//	failed                                           claimed if the filter is still out, having timed out
//	attached                                         instance
//	draining                                         claimed (Setup is to be undone), or instance, or both (Teardown runs)
type slot struct {
	state    SlotState
	by       string // who detached it; sticky until an attach by hand
	removed  string // why weir took it away; likewise
	why      string
	declined refusal
	reason   weir.SetupReason
	teardown weir.TeardownReason
	attempts int
	asked    bool // the filter has said that the volume concerns it
	claimed  bool // a runner asks, or is inside Setup or Teardown
	instance bool // Setup has succeeded and Teardown has not ended
	stale    bool // the volume changed while the filter was asked, or Setup ran
}

// refusal is why a filter has declined a volume, until it gives another answer.
type refusal struct {
	why     string
	inSetup bool // so that it is no other answer if the volume concerns the filter, as it did before
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

// oweAll makes the slots of a filter and a volume, of which one has just been published.
func (s *State) oweAll(f FilterID, v weir.VolumeID, reason weir.SetupReason) {
	for i := range s.filters[f].instances {
		s.owe(Pair{f, i, v}, reason)
	}
}

// owe makes the slot of a pair that has just become due.
func (s *State) owe(p Pair, reason weir.SetupReason) {
	if s.faults.oweNothing {
		return
	}
	l := slot{reason: reason}
	v, in := s.volumes[p.Volume], s.instance(p)
	switch {
	case s.below(p):
		l.state, l.why = SlotExcluded, fmt.Sprintf("the layer, at altitude %s, is above the instance, which sees what reaches the volumes below", v.altitude)
	case v.excluded != "":
		l.state, l.why = SlotExcluded, v.excluded
	case in.Manual:
		l.state, l.by = SlotDetached, ByDefinition
	}
	s.setSlot(p, l)
	s.offer(p)
}

// excludes tells whether a rule keeps an instance from being there by itself. One that somebody has asked for may be.
func (s *State) excludes(p Pair, l slot) bool {
	return s.volumes[p.Volume].excluded != "" && l.reason != weir.SetupManual
}

// instance returns the definition that a slot is of.
func (s *State) instance(p Pair) Instance { return s.filters[p.Filter].instances[p.Instance] }

// below tells whether a slot is on a layer that is above its instance.
func (s *State) below(p Pair) bool {
	v := s.volumes[p.Volume]
	return v.layer && s.instance(p).Altitude.Compare(v.altitude) < 0
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
		return SetUp.on(p)
	}
	return Ask.on(p)
}

// declines is why the filter declines the volume, as it has said last.
func (l slot) declines() string {
	switch l.state {
	case SlotDeclined, SlotPending, SlotSettingUp:
		return l.declined.why
	}
	return ""
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
	case s.excludes(p, l):
		s.setSlot(p, slot{state: SlotExcluded, why: s.volumes[p.Volume].excluded, removed: l.removed, reason: l.reason})
	case l.removed != "" && !s.faults.forgetDetach:
		s.setSlot(p, slot{state: SlotRemoved, why: l.removed, removed: l.removed, reason: l.reason})
	default:
		s.setSlot(p, slot{
			reason: l.reason, attempts: l.attempts, declined: l.declined, asked: l.asked && (l.state == SlotFailed || s.faults.keepAsked),
		})
		s.offer(p)
	}
}

// withdraw takes back what has been owed: at once if nobody works on it, else by way of draining.
func (s *State) withdraw(p Pair, reason weir.TeardownReason) {
	l := s.slots[p]
	switch {
	case l.state == SlotDraining:
		if reason == weir.TeardownMandatoryUnload && l.teardown == weir.TeardownFilterUnload && !s.faults.stayPolite {
			l.teardown = reason
			s.slots[p] = l
		}
	case l.instance:
		l.state, l.why, l.teardown = SlotDraining, "", reason
		s.setSlot(p, l)
		s.emit(Offer{TearDown.on(p)})
	case l.claimed:
		l.state, l.why, l.teardown = SlotDraining, "", reason
		s.setSlot(p, l)
		s.emit(Cancel{l.next(p)})
	case s.faults.leaveUnclaimed || s.faults.claimDying:
	default:
		s.settle(p)
	}
}

func (s *State) claimSlot(w Work) {
	p := w.Pair()
	l, known := s.slots[p]
	switch {
	case !known || l.claimed && !s.faults.claimTwice:
		return
	case w == l.next(p) && (l.state == SlotPending || s.faults.claimTwice && l.claimed) && (s.wanted(p) || s.faults.claimDying) && s.due(p):
		if s.faults.claimTwice && !l.claimed {
			s.emit(Offer{w})
		}
		l.state, l.claimed, l.stale = SlotSettingUp, true, false
	case w.Kind == TearDown && l.state == SlotDraining && l.instance:
		l.claimed = true
	default:
		return
	}
	s.setSlot(p, l)
	s.emit(Start{Work: w, Setup: l.reason, Teardown: l.teardown, Why: l.removed})
}

// finishSetUp takes the outcome of an Ask or a SetUp.
func (s *State) finishSetUp(f Finished) {
	p := f.Work.Pair()
	l := s.slots[p]
	if !l.claimed || l.instance {
		return
	}
	l.claimed = false
	switch {
	case f.Outcome == Declined:
		l.declined = refusal{f.Why, l.asked}
	case f.Outcome != OK || l.asked || !l.declined.inSetup:
		l.declined = refusal{}
	}
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
		s.setSlot(p, slot{reason: l.reason, attempts: l.attempts, declined: l.declined, asked: true})
		s.offer(p)
	case f.Outcome == Declined && l.stale && !s.faults.staleAnswer:
		l.asked = s.faults.keepAsked
		s.slots[p] = l
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
		s.emit(Offer{TearDown.on(p)})
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
	p := f.Work.Pair()
	l := s.slots[p]
	if !l.claimed || !l.instance {
		return
	}
	l.claimed, l.instance = false, false
	s.slots[p] = l
	s.settle(p)
}

func (s *State) timeOutSetUp(t TimedOut) {
	l := s.slots[t.Work.Pair()]
	if l.state != SlotSettingUp {
		return
	}
	l.state, l.why = SlotFailed, t.Why
	s.setSlot(t.Work.Pair(), l)
	s.emit(Cancel{t.Work})
}

func (s *State) retrySlot(p Pair) {
	if l := s.slots[p]; l.state == SlotFailed && !l.claimed {
		s.settle(p)
	}
}
