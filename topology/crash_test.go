package topology

import (
	"fmt"
	"maps"
	"slices"
)

// crash ends the machine between two writes to its journal: the last ones are lost.
type crash struct{}

func (crash) apply(*State) {}

// write is one write to the journal.
func (w *world) write(e Recorded) {
	before := w.pairs[e.Pair]
	if w.tail > 0 {
		w.written = append(w.written, entry{e.Pair, before.journal, before.journaled})
		w.written = slices.Clone(w.written[max(0, len(w.written)-w.tail):])
	}
	w.note(e.Pair, func(a *account) { a.journal, a.journaled = e.State, !e.Ended })
}

// crash forgets everything but what is mounted, what was asked for, and what the journal holds. What is attached by the
// journal has a gap from then on; what is attached and is not by the journal must have its record among those lost.
func (w *world) crash() string {
	lost := map[Pair]bool{}
	for _, e := range slices.Backward(w.written) {
		lost[e.pair] = true
		w.note(e.pair, func(a *account) { a.journal, a.journaled = e.before, e.had })
	}
	for p, l := range w.state.slots {
		if a := w.pairs[p]; l.state == SlotAttached && !(a.journaled && a.journal == SlotAttached) && !lost[p] {
			return fmt.Sprintf("I11: a crash hides a gap of %v", p)
		}
	}
	w.filtersBefore = slices.Collect(maps.Values(w.known))
	slices.SortFunc(w.filtersBefore, func(a, b FilterRegistered) int { return int(a.Filter) - int(b.Filter) })
	w.filtersBefore = slices.DeleteFunc(w.filtersBefore, func(f FilterRegistered) bool { return !w.filters[f.Filter] })
	w.shutdown, w.down, w.tail = false, false, 0
	w.bring()
	return ""
}

// crashes ends the machine, starts its filters again, subscribes, and lists what is mounted.
func crashes(lost int) actor {
	return actor{name: "crash", tail: lost, steps: []step{
		func(*world, *memo) []Input { return []Input{crash{}} },
		func(w *world, _ *memo) (inputs []Input) {
			for _, f := range w.filtersBefore {
				inputs = append(inputs, f, FilterStarted{f.Filter})
			}
			return inputs
		},
		func(w *world, _ *memo) (inputs []Input) {
			for _, v := range slices.Sorted(maps.Keys(w.kernel)) {
				arrived := w.kernel[v]
				arrived.Listed = true
				inputs = append(inputs, arrived)
			}
			return append(inputs, DiscoveryListed{})
		},
	}}
}
