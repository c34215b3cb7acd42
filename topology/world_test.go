package topology

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/weirfs/weir"
)

// world is the machine, the actors that drive it, the work that is out, and what an observer who only
// sees inputs and effects believes. It is explored by value.
type world struct {
	state  *State
	at     []int
	memos  []memo
	offers map[Work]bool
	runs   map[Work]bool
	hung   map[Work]bool
	retry  map[Work]bool
	faults int  // failures, refusals and timeouts that may still happen
	prompt bool // filters answer in no time

	kernel   map[weir.VolumeID]VolumeArrived // what is mounted, whoever knows of it
	volumes  map[weir.VolumeID]bool          // arrived and not left
	present  map[weir.VolumeID]bool          // arrived and not gone
	filters  map[FilterID]bool               // started and not stopping
	known    map[FilterID]FilterRegistered
	sticky   map[Pair]bool
	asked    map[Pair]bool // the filter has said that the volume concerns it
	moved    map[Pair]bool // the volume has changed since the filter was last asked, or Setup began
	balance  map[Pair]int
	attached map[Joint]int
	journal  map[Pair]SlotState
	written  []entry // the last that were written to the journal, which a crash will lose
	tail     int     // how many that are
	shutdown bool
	down     bool

	filtersBefore []FilterRegistered // what a crash has ended, and a restart starts again
}

// entry is one write to the journal: what stood there before.
type entry struct {
	pair   Pair
	before SlotState
	had    bool
}

// bring begins with a machine that knows nothing, and an observer who has seen nothing.
func (w *world) bring() {
	w.state = New()
	w.offers, w.runs, w.hung, w.retry = map[Work]bool{}, map[Work]bool{}, map[Work]bool{}, map[Work]bool{}
	w.volumes, w.present = map[weir.VolumeID]bool{}, map[weir.VolumeID]bool{}
	w.filters, w.known = map[FilterID]bool{}, map[FilterID]FilterRegistered{}
	w.sticky, w.asked, w.moved = map[Pair]bool{}, map[Pair]bool{}, map[Pair]bool{}
	w.balance, w.attached = map[Pair]int{}, map[Joint]int{}
	w.journal, w.written = map[Pair]SlotState{}, nil
}

func (w *world) clone() *world {
	c := *w
	c.state = w.state.Clone()
	c.at, c.memos = slices.Clone(w.at), slices.Clone(w.memos)
	c.offers, c.runs, c.hung, c.retry = maps.Clone(w.offers), maps.Clone(w.runs), maps.Clone(w.hung), maps.Clone(w.retry)
	c.kernel, c.volumes, c.present = maps.Clone(w.kernel), maps.Clone(w.volumes), maps.Clone(w.present)
	c.filters, c.known = maps.Clone(w.filters), maps.Clone(w.known)
	c.sticky, c.asked, c.moved = maps.Clone(w.sticky), maps.Clone(w.asked), maps.Clone(w.moved)
	c.balance, c.attached, c.journal, c.written = maps.Clone(w.balance), maps.Clone(w.attached), maps.Clone(w.journal), slices.Clone(w.written)
	return &c
}

// key identifies the world. The epoch and the reasons are left out: they decide nothing.
func (w *world) key() string {
	b := make([]byte, 0, 256)
	for i, at := range w.at {
		b = append(b, byte(at))
		b = fmt.Appendf(b, "%v", w.memos[i])
	}
	for _, set := range []map[Work]bool{w.offers, w.runs, w.hung, w.retry} {
		b = append(b, '|')
		for _, work := range sorted(set) {
			b = work.encode(b)
		}
	}
	b = append(b, byte(w.faults), bit(w.shutdown), bit(w.down), byte(len(w.kernel)), byte(len(w.filtersBefore)))
	for _, v := range slices.Sorted(maps.Keys(w.kernel)) {
		b = append(b, byte(v))
	}
	s := w.state
	b = append(b, '|', bit(s.complete), bit(s.stopping))
	for _, v := range s.volumeIDs() {
		x := s.volumes[v]
		b = append(b, byte(v), bit(x.left), bit(x.listed), bit(x.layer), bit(x.excluded != ""))
	}
	for _, f := range s.filterIDs() {
		b = append(b, byte(f), byte(s.filters[f].phase), byte(s.filters[f].frame))
	}
	for _, f := range s.frames {
		b = append(append(b, f.low.String()...), f.reach.String()...)
	}
	for _, p := range s.pairs(func(Pair) bool { return true }) {
		l := s.slots[p]
		b = append(p.encode(b), byte(l.state), bit(l.by != ""), byte(l.reason), byte(l.teardown), byte(l.attempts),
			bit(l.asked), bit(l.claimed), bit(l.instance), bit(l.stale), bit(w.sticky[p]), bit(w.asked[p]), bit(w.moved[p]), byte(w.balance[p]))
	}
	for _, j := range s.joints(func(Joint) bool { return true }) {
		l := s.links[j]
		b = append(b, byte(j.Frame), byte(j.Volume), byte(l.state), byte(l.attempts), bit(l.claimed), bit(l.held), bit(l.stale),
			bit(l.missed), byte(w.attached[j]))
	}
	for _, e := range w.written {
		b = append(e.pair.encode(b), byte(e.before), bit(e.had))
	}
	return string(b)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (p Pair) encode(b []byte) []byte {
	return append(b, byte(p.Filter), byte(p.Instance), byte(p.Volume))
}

func (w Work) encode(b []byte) []byte {
	b = append(b, byte(w.Kind), byte(w.Frame), byte(w.Filter), byte(w.Instance))
	return binary.BigEndian.AppendUint16(b, uint16(w.Volume))
}

// apply feeds the machine, follows what an observer sees, and checks every promise.
func (w *world) apply(i Input) string {
	if _, ok := i.(crash); ok {
		return w.crash()
	}
	w.before(i)
	hadSlot := maps.Clone(w.state.slots)
	for _, e := range w.state.Apply(i) {
		if why := w.observe(e); why != "" {
			return why
		}
	}
	if w.shutdown {
		for p := range w.state.slots {
			if _, had := hadSlot[p]; !had {
				return fmt.Sprintf("I9: slot %v made after shutdown", p)
			}
		}
	}
	if f, ok := i.(Finished); ok && f.Outcome == Declined && w.moved[f.Work.Pair()] && w.state.slots[f.Work.Pair()].state == SlotDeclined {
		return fmt.Sprintf("I2: %v stays declined, though its volume has changed since", f.Work.Pair())
	}
	if why := w.check(); why != "" || !w.prompt {
		return why
	}
	return w.answer()
}

// answer has every filter that can be asked say that the volume concerns it.
func (w *world) answer() string {
	for _, work := range sorted(w.offers) {
		if work.Kind != Ask {
			continue
		}
		if why := w.apply(Claim{work}); why != "" {
			return why
		}
		if w.runs[work] {
			return w.apply(Finished{Work: work})
		}
	}
	return ""
}

func (w *world) before(i Input) {
	switch i := i.(type) {
	case VolumeArrived:
		if !w.present[i.Volume] {
			w.kernel[i.Volume] = i
		}
		w.arrive(i.Volume)
	case publishVolume:
		w.arrive(i.volume)
	case VolumeLeft:
		delete(w.kernel, i.Volume)
		delete(w.volumes, i.Volume)
	case FilterRegistered:
		if _, _, misplaced := w.state.Misplaced(i); !w.shutdown && !misplaced {
			w.known[i.Filter] = i
		}
	case FilterStarted:
		w.begin(i.Filter)
	case publishFilter:
		w.begin(i.filter)
	case FilterStopping:
		delete(w.filters, i.Filter)
	case Detach:
		if w.there(i.Pair) {
			w.sticky[i.Pair] = true
		}
	case Attach:
		if w.there(i.Pair) {
			delete(w.sticky, i.Pair)
		}
	case VolumeChanged:
		for run := range w.runs {
			if run.Volume == i.Volume && run.Kind.ofSlot() {
				w.moved[run.Pair()] = true
			}
		}
	case Claim:
		delete(w.offers, i.Work)
	case Finished:
		w.finish(i)
	case Shutdown:
		w.shutdown = true
	}
}

func (w *world) there(p Pair) bool {
	return w.volumes[p.Volume] && w.filters[p.Filter] && !w.shutdown && !w.state.below(p)
}

func (w *world) arrive(v weir.VolumeID) {
	if !w.shutdown && !w.present[v] {
		w.volumes[v], w.present[v] = true, true
	}
}

func (w *world) begin(f FilterID) {
	if _, known := w.known[f]; known && !w.shutdown {
		w.filters[f] = true
	}
}

func (w *world) finish(i Finished) {
	delete(w.runs, i.Work)
	delete(w.hung, i.Work)
	switch {
	case i.Work.Kind == Ask:
		w.asked[i.Work.Pair()] = i.Outcome == OK
	case i.Work.Kind == SetUp && i.Outcome == OK:
		w.balance[i.Work.Pair()]++
	case i.Work.Kind == SetUp && i.Outcome == Declined:
		delete(w.asked, i.Work.Pair())
	case i.Work.Kind == TearDown:
		w.balance[i.Work.Pair()]--
	case i.Work.Kind == AttachFrame && i.Outcome == OK:
		w.attached[i.Work.joint()]++
	case i.Work.Kind == DetachFrame:
		w.attached[i.Work.joint()]--
	}
}

func (w *world) observe(e Effect) string {
	switch e := e.(type) {
	case Offer:
		w.offers[e.Work] = true
	case Start:
		return w.start(e)
	case Retry:
		w.retry[e.Work] = true
	case Recorded:
		w.write(e)
	case VolumeGone:
		delete(w.present, e.Volume)
		maps.DeleteFunc(w.sticky, func(p Pair, _ bool) bool { return p.Volume == e.Volume })
		maps.DeleteFunc(w.asked, func(p Pair, _ bool) bool { return p.Volume == e.Volume })
		return w.unused(func(p Pair) bool { return p.Volume == e.Volume })
	case FilterGone:
		delete(w.known, e.Filter)
		maps.DeleteFunc(w.sticky, func(p Pair, _ bool) bool { return p.Filter == e.Filter })
		maps.DeleteFunc(w.asked, func(p Pair, _ bool) bool { return p.Filter == e.Filter })
		return w.unused(func(p Pair) bool { return p.Filter == e.Filter })
	case Down:
		w.down = true
		return w.unused(func(Pair) bool { return true })
	}
	return ""
}

// start checks what may be begun.
func (w *world) start(e Start) string {
	work := e.Work
	for other := range w.runs {
		if other.Volume == work.Volume && other.Filter == work.Filter && other.Instance == work.Instance && other.Frame == work.Frame &&
			work.Kind.ofSlot() == other.Kind.ofSlot() {
			return fmt.Sprintf("I5: %v runs beside %v", work, other)
		}
	}
	if work.Kind == AttachFrame && !w.concerned(work.joint()) {
		return fmt.Sprintf("%v is observed, and no filter has said that it concerns it", work.joint())
	}
	if work.Kind == SetUp && !w.asked[work.Pair()] {
		return fmt.Sprintf("%v is set up, and its filter has not said that it concerns it", work.Pair())
	}
	if work.Kind.ofSlot() && work.Kind != TearDown && w.sticky[work.Pair()] {
		return fmt.Sprintf("I7: set-up of %v, which is detached", work.Pair())
	}
	if work.Kind == SetUp && e.Setup == weir.SetupNewlyMounted && w.kernel[work.Volume].Listed {
		return fmt.Sprintf("I4: %v is set up as newly mounted, and was listed", work.Pair())
	}
	w.runs[work] = true
	delete(w.moved, work.Pair())
	return ""
}

func (w *world) concerned(j Joint) bool {
	for p, asked := range w.asked {
		if asked && w.state.jointOf(p) == j {
			return true
		}
	}
	return false
}

// unused checks that what is declared gone is used by nobody.
func (w *world) unused(which func(Pair) bool) string {
	for p, n := range w.balance {
		if which(p) && n != 0 {
			return fmt.Sprintf("I8: balance of %v is %d at its end", p, n)
		}
	}
	for run := range w.runs {
		if run.Kind.ofSlot() && which(run.Pair()) {
			return fmt.Sprintf("I8: %v runs at its end", run)
		}
	}
	return ""
}
