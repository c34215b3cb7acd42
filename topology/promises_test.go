package topology

import (
	"fmt"
	"slices"

	"github.com/weirfs/weir"
)

// check is what must hold in every state.
func (w *world) check() string {
	for _, check := range []func() string{w.complete, w.exact, w.balanced, w.ordered, w.journaled} {
		if why := check(); why != "" {
			return why
		}
	}
	return ""
}

// complete: whatever is owed has a slot or a link.
func (w *world) complete() string {
	for v := range w.volumes {
		for f := range w.filters {
			for i := range max(1, len(w.known[f].Instances)) {
				if _, ok := w.state.slots[Pair{f, i, v}]; !ok && !w.shutdown {
					return fmt.Sprintf("I2: no slot for %v", Pair{f, i, v})
				}
			}
		}
		for id := range w.state.frames {
			if _, ok := w.state.links[Joint{FrameID(id), v}]; !ok {
				return fmt.Sprintf("I1: frame %d misses volume %d", id, v)
			}
		}
	}
	return ""
}

// exact: slots refer to what is there, and are what an observer counts.
func (w *world) exact() string {
	for p, l := range w.state.slots {
		if _, known := w.known[p.Filter]; !known || !w.present[p.Volume] {
			return fmt.Sprintf("I8: slot %v refers to what is gone", p)
		}
		if want := int(bit(l.instance)); int(w.pairs[p].balance) != want {
			return fmt.Sprintf("I5: %v is %v with %d instances", p, l.state, w.pairs[p].balance)
		}
		if l.state != SlotAttached {
			continue
		}
		if w.pairs[p].sticky || !w.volumes[p.Volume] || !w.filters[p.Filter] {
			return fmt.Sprintf("I7, I8: %v is attached though it was withdrawn", p)
		}
		if !w.state.links[w.state.jointOf(p)].covers() {
			return fmt.Sprintf("I4: %v is attached on a link that is %v", p, w.state.links[w.state.jointOf(p)].state)
		}
		if w.state.below(p) {
			return fmt.Sprintf("I10: %v is attached to a layer above it", p)
		}
	}
	return ""
}

// covers tells whether an instance may exist: what was unsupported may be tried again meanwhile.
func (l link) covers() bool { return l.held || l.missed }

func (w *world) balanced() string {
	for p, a := range w.pairs {
		n := a.balance
		if _, ok := w.state.slots[p]; n < 0 || n > 1 || n == 1 && !ok {
			return fmt.Sprintf("I5: %d instances of %v (slot %v)", n, p, ok)
		}
	}
	for j, n := range w.attached {
		if n < 0 || n > 1 || n == 1 && !w.state.links[j].held {
			return fmt.Sprintf("I5: %d attachments of %v", n, j)
		}
	}
	return ""
}

// ordered: the frames' intervals follow one another, and hold what is in them.
func (w *world) ordered() string {
	frames := w.state.frames
	for i, f := range frames {
		if i == 0 && f.low != (weir.Altitude{}) || i > 0 && f.low != frames[i-1].high || f.bounded != (i < len(frames)-1) {
			return fmt.Sprintf("I10: frames %+v", frames)
		}
	}
	for id, f := range w.state.filters {
		for _, in := range f.instances {
			if !w.state.frames[f.frame].holds(in.Altitude) {
				return fmt.Sprintf("I10: an instance of filter %d is outside its frame", id)
			}
		}
	}
	return ""
}

// journaled: the journal says what is.
func (w *world) journaled() string {
	for p, l := range w.state.slots {
		if a := w.pairs[p]; !a.journaled || a.journal != l.state {
			return fmt.Sprintf("I11: %v is %v, the journal says %v (%t)", p, l.state, a.journal, a.journaled)
		}
	}
	for p, a := range w.pairs {
		if _, known := w.state.slots[p]; !known && a.journaled {
			return fmt.Sprintf("I11: %v stands in the journal, and is no more", p)
		}
	}
	return ""
}

// atRest is what must hold when nothing can happen any more.
func (w *world) atRest() string {
	for p, l := range w.state.slots {
		switch l.state {
		case SlotAttached, SlotDeclined, SlotDetached, SlotRemoved, SlotExcluded:
		default:
			return fmt.Sprintf("stuck: %v is %v (%s)", p, l.state, l.why)
		}
		if w.pairs[p].sticky && !slices.Contains([]SlotState{SlotDetached, SlotRemoved, SlotExcluded}, l.state) {
			return fmt.Sprintf("I7: %v was detached and is %v", p, l.state)
		}
	}
	if why := w.excluded(); why != "" {
		return why
	}
	for v := range w.present {
		if !w.volumes[v] {
			return fmt.Sprintf("stuck: volume %d has left and is not forgotten", v)
		}
	}
	for v := range w.kernel {
		if _, known := w.state.volumes[v]; !known && !w.shutdown {
			return fmt.Sprintf("I2: volume %d is mounted and not known", v)
		}
	}
	if w.shutdown && (!w.down || len(w.state.slots) > 0) {
		return "I9: shutdown does not end"
	}
	for j, n := range w.attached {
		if n > 0 && (w.shutdown || !w.volumes[j.Volume]) {
			return fmt.Sprintf("I9: %v is attached at the end", j)
		}
	}
	return ""
}

// excluded: what a rule keeps off a volume, as it is now, is there only if somebody has asked for it.
func (w *world) excluded() string {
	for p, l := range w.state.slots {
		rule := w.kernel[p.Volume].Excluded != ""
		if rule && l.state != SlotExcluded && l.state != SlotDetached && l.reason != weir.SetupManual {
			return fmt.Sprintf("%v is %v on a volume that is excluded", p, l.state)
		}
		if !rule && l.state == SlotExcluded && !w.state.below(p) {
			return fmt.Sprintf("%v is excluded, and no rule says so any more", p)
		}
	}
	return ""
}
