package topology

import (
	"cmp"
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
	works  map[Work]progress
	faults int  // failures, refusals and timeouts that may still happen
	prompt bool // filters answer in no time

	kernel   map[weir.VolumeID]VolumeArrived // what is mounted, whoever knows of it
	volumes  map[weir.VolumeID]bool          // arrived and not left
	present  map[weir.VolumeID]bool          // arrived and not gone
	filters  map[FilterID]bool               // started and not stopping
	forced   map[FilterID]bool               // stopping, and may not refuse
	known    map[FilterID]FilterRegistered
	pairs    map[Pair]account
	attached map[Joint]int
	written  []entry // the last that were written to the journal, which a crash will lose
	tail     int     // how many that are
	shutdown bool
	down     bool

	filtersBefore []FilterRegistered // what a crash has ended, and a restart starts again
}

// progress is what is known of a piece of work.
type progress struct{ offered, runs, hung, retry bool }

// account is what is known of a pair.
type account struct {
	sticky    bool // it was detached by hand, or removed
	asked     bool // the filter has said that the volume concerns it
	moved     bool // the volume has changed since the filter was last asked, or Setup began
	balance   int8 // set-ups without a teardown
	journaled bool
	journal   SlotState
}

// note changes what is known of a pair.
func (w *world) note(p Pair, change func(*account)) {
	a := w.pairs[p]
	change(&a)
	w.pairs[p] = a
}

// track changes what is known of a piece of work.
func (w *world) track(work Work, change func(*progress)) {
	p := w.works[work]
	if change(&p); p == (progress{}) {
		delete(w.works, work)
	} else {
		w.works[work] = p
	}
}

// which returns the work of which something is so.
func (w *world) which(is func(progress) bool) []Work {
	var list []Work
	for work, p := range w.works {
		if is(p) {
			list = append(list, work)
		}
	}
	slices.SortFunc(list, compareWorks)
	return list
}

func compareWorks(a, b Work) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Frame, b.Frame), comparePairs(a.Pair(), b.Pair()))
}

func offered(p progress) bool { return p.offered }
func runs(p progress) bool    { return p.runs }

// entry is one write to the journal: what stood there before.
type entry struct {
	pair   Pair
	before SlotState
	had    bool
}

// bring begins with a machine that knows nothing, and an observer who has seen nothing.
func (w *world) bring() {
	w.state = New()
	w.works, w.pairs = map[Work]progress{}, map[Pair]account{}
	w.volumes, w.present = map[weir.VolumeID]bool{}, map[weir.VolumeID]bool{}
	w.filters, w.forced, w.known = map[FilterID]bool{}, map[FilterID]bool{}, map[FilterID]FilterRegistered{}
	w.attached, w.written = map[Joint]int{}, nil
}

func (w *world) clone() *world {
	c := *w
	c.state = w.state.Clone()
	c.at, c.memos = slices.Clone(w.at), slices.Clone(w.memos)
	c.works, c.pairs = maps.Clone(w.works), maps.Clone(w.pairs)
	c.kernel, c.volumes, c.present = maps.Clone(w.kernel), maps.Clone(w.volumes), maps.Clone(w.present)
	c.filters, c.forced, c.known = maps.Clone(w.filters), maps.Clone(w.forced), maps.Clone(w.known)
	c.attached, c.written = maps.Clone(w.attached), slices.Clone(w.written)
	return &c
}

// key identifies the world. The epoch and the reasons are left out: they decide nothing.
func (w *world) key() string {
	b := make([]byte, 0, 256)
	for i, at := range w.at {
		b = append(b, byte(at))
		b = fmt.Appendf(b, "%v", w.memos[i])
	}
	for _, work := range w.which(func(progress) bool { return true }) {
		p := w.works[work]
		b = append(work.encode(b), bit(p.offered), bit(p.runs), bit(p.hung), bit(p.retry))
	}
	b = append(b, byte(w.faults), bit(w.shutdown), bit(w.down), byte(len(w.kernel)), byte(len(w.filtersBefore)))
	for _, v := range slices.Sorted(maps.Keys(w.kernel)) {
		b = append(b, byte(v), bit(w.kernel[v].Excluded != ""))
	}
	s := w.state
	b = append(b, '|', bit(s.complete), bit(s.stopping))
	for _, v := range s.volumeIDs() {
		x := s.volumes[v]
		b = append(b, byte(v), bit(x.left), bit(x.listed), bit(x.layer), bit(x.excluded != ""))
	}
	for _, f := range s.filterIDs() {
		b = append(b, byte(f), byte(s.filters[f].phase), byte(s.filters[f].frame), bit(w.forced[f]))
	}
	for _, f := range s.frames {
		b = append(append(b, f.low.String()...), f.reach.String()...)
	}
	for _, p := range s.pairs(func(Pair) bool { return true }) {
		l, a := s.slots[p], w.pairs[p]
		b = append(p.encode(b), byte(l.state), bit(l.by != ""), bit(l.removed != ""), byte(l.reason), byte(l.teardown), byte(l.attempts),
			bit(l.asked), bit(l.claimed), bit(l.instance), bit(l.stale), bit(a.sticky), bit(a.asked), bit(a.moved), byte(a.balance))
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
	if f, ok := i.(Finished); ok && f.Outcome == Declined && w.pairs[f.Work.Pair()].moved && w.state.slots[f.Work.Pair()].state == SlotDeclined {
		return fmt.Sprintf("I2: %v stays declined, though its volume has changed since", f.Work.Pair())
	}
	if why := w.check(); why != "" || !w.prompt {
		return why
	}
	return w.answer()
}

// answer has every filter that can be asked say that the volume concerns it.
func (w *world) answer() string {
	for _, work := range w.which(offered) {
		if work.Kind != Ask {
			continue
		}
		if why := w.apply(Claim{work}); why != "" {
			return why
		}
		if w.works[work].runs {
			return w.apply(Finished{Work: work})
		}
	}
	return ""
}

func (w *world) before(i Input) {
	switch i := i.(type) {
	case VolumeArrived:
		if _, mounted := w.kernel[i.Volume]; !mounted || !w.present[i.Volume] {
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
		if _, known := w.known[i.Filter]; known && i.Mandatory {
			w.forced[i.Filter] = true
		}
	case Remove:
		if w.there(i.Pair) {
			w.note(i.Pair, func(a *account) { a.sticky = true })
		}
	case Detach:
		if w.there(i.Pair) {
			w.note(i.Pair, func(a *account) { a.sticky = true })
		}
	case Attach:
		if w.there(i.Pair) {
			w.note(i.Pair, func(a *account) { a.sticky = false })
		}
	case VolumeChanged:
		if v, mounted := w.kernel[i.Volume]; mounted {
			v.Excluded = i.Excluded
			w.kernel[i.Volume] = v
		}
		for _, run := range w.which(runs) {
			if run.Volume == i.Volume && run.Kind.ofSlot() {
				w.note(run.Pair(), func(a *account) { a.moved = true })
			}
		}
	case Claim:
		w.track(i.Work, func(p *progress) { p.offered = false })
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
	w.track(i.Work, func(p *progress) { p.runs, p.hung = false, false })
	switch {
	case i.Work.Kind == Ask:
		w.note(i.Work.Pair(), func(a *account) { a.asked = i.Outcome == OK })
	case i.Work.Kind == SetUp && i.Outcome == OK:
		w.note(i.Work.Pair(), func(a *account) { a.balance++ })
	case i.Work.Kind == SetUp && i.Outcome == Declined:
		w.note(i.Work.Pair(), func(a *account) { a.asked = false })
	case i.Work.Kind == TearDown:
		w.note(i.Work.Pair(), func(a *account) { a.balance-- })
	case i.Work.Kind == AttachFrame && i.Outcome == OK:
		w.attached[i.Work.joint()]++
	case i.Work.Kind == DetachFrame:
		w.attached[i.Work.joint()]--
	}
}

func (w *world) observe(e Effect) string {
	switch e := e.(type) {
	case Offer:
		w.track(e.Work, func(p *progress) { p.offered = true })
	case Start:
		return w.start(e)
	case Retry:
		w.track(e.Work, func(p *progress) { p.retry = true })
	case Recorded:
		w.write(e)
	case VolumeGone:
		delete(w.present, e.Volume)
		return w.unused(func(p Pair) bool { return p.Volume == e.Volume })
	case FilterGone:
		delete(w.known, e.Filter)
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
	for _, other := range w.which(runs) {
		if other.Volume == work.Volume && other.Filter == work.Filter && other.Instance == work.Instance && other.Frame == work.Frame &&
			work.Kind.ofSlot() == other.Kind.ofSlot() {
			return fmt.Sprintf("I5: %v runs beside %v", work, other)
		}
	}
	if work.Kind == AttachFrame && !w.concerned(work.joint()) {
		return fmt.Sprintf("%v is observed, and no filter has said that it concerns it", work.joint())
	}
	if work.Kind == SetUp && !w.pairs[work.Pair()].asked {
		return fmt.Sprintf("%v is set up, and its filter has not said that it concerns it", work.Pair())
	}
	if work.Kind.ofSlot() && work.Kind != TearDown && w.pairs[work.Pair()].sticky {
		return fmt.Sprintf("I7: set-up of %v, which is detached", work.Pair())
	}
	if work.Kind == SetUp && e.Setup == weir.SetupNewlyMounted && w.kernel[work.Volume].Listed {
		return fmt.Sprintf("I4: %v is set up as newly mounted, and was listed", work.Pair())
	}
	if work.Kind == TearDown && e.Teardown == weir.TeardownFilterUnload && w.forced[work.Filter] {
		return fmt.Sprintf("%v ends as if its filter could refuse", work.Pair())
	}
	w.track(work, func(p *progress) { p.runs = true })
	if work.Kind.ofSlot() {
		w.note(work.Pair(), func(a *account) { a.moved = false })
	}
	return ""
}

func (w *world) concerned(j Joint) bool {
	for p, a := range w.pairs {
		if a.asked && w.state.jointOf(p) == j {
			return true
		}
	}
	return false
}

// unused checks that what is declared gone is used by nobody, and forgets it.
func (w *world) unused(gone func(Pair) bool) string {
	for p, a := range w.pairs {
		if gone(p) && a.balance != 0 {
			return fmt.Sprintf("I8: balance of %v is %d at its end", p, a.balance)
		}
	}
	for _, run := range w.which(runs) {
		if run.Kind.ofSlot() && gone(run.Pair()) {
			return fmt.Sprintf("I8: %v runs at its end", run)
		}
	}
	maps.DeleteFunc(w.pairs, func(p Pair, a account) bool { return gone(p) && !a.journaled })
	return ""
}
