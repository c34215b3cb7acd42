package topology

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/weirfs/weir"
)

// step is one atomic step of an actor. memo is the actor's own memory, for actors that list first and
// publish later.
type step func(s *State, memo *memo) Input

type memo struct {
	volumes []weir.VolumeID
	filters []FilterID
}

type actor struct {
	name  string
	steps []step
}

func does(name string, inputs ...Input) actor {
	a := actor{name: name}
	for _, input := range inputs {
		a.steps = append(a.steps, func(*State, *memo) Input { return input })
	}
	return a
}

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

	volumes  map[weir.VolumeID]bool // arrived and not left
	present  map[weir.VolumeID]bool // arrived and not gone
	filters  map[FilterID]bool      // started and not stopping
	known    map[FilterID]bool      // registered and not gone
	sticky   map[Pair]bool
	balance  map[Pair]int
	attached map[Joint]int
	shutdown bool
	down     bool
}

func (w *world) clone() *world {
	c := *w
	c.state = w.state.Clone()
	c.at, c.memos = slices.Clone(w.at), slices.Clone(w.memos)
	c.offers, c.runs, c.hung, c.retry = maps.Clone(w.offers), maps.Clone(w.runs), maps.Clone(w.hung), maps.Clone(w.retry)
	c.volumes, c.present = maps.Clone(w.volumes), maps.Clone(w.present)
	c.filters, c.known = maps.Clone(w.filters), maps.Clone(w.known)
	c.sticky, c.balance, c.attached = maps.Clone(w.sticky), maps.Clone(w.balance), maps.Clone(w.attached)
	return &c
}

// key identifies the world. The epoch is left out: it only counts.
func (w *world) key() string {
	var b strings.Builder
	fmt.Fprint(&b, w.at, w.memos, w.offers, w.runs, w.hung, w.retry, w.faults, w.sticky, w.balance, w.attached, w.shutdown, w.down)
	s := w.state
	fmt.Fprint(&b, s.volumes, s.filters, s.slots, s.links, s.complete, s.stopping, s.frames)
	return b.String()
}

// explorer walks all interleavings of actors and of the work that the machine offers.
type explorer struct {
	actors  []actor
	seen    map[string]bool
	trail   []string
	failure string
}

// explore returns the number of states and the first broken promise with the way to it.
func explore(faults faults, budget int, setup []Input, actors ...actor) (states int, failure string) {
	return exploreFrom(&world{faults: budget}, faults, setup, actors)
}

func exploreFrom(w *world, faults faults, setup []Input, actors []actor) (states int, failure string) {
	e := &explorer{actors: actors, seen: map[string]bool{}}
	w.state, w.at, w.memos = New(), make([]int, len(actors)), make([]memo, len(actors))
	w.offers, w.runs, w.hung, w.retry = map[Work]bool{}, map[Work]bool{}, map[Work]bool{}, map[Work]bool{}
	w.volumes, w.present = map[weir.VolumeID]bool{}, map[weir.VolumeID]bool{}
	w.filters, w.known = map[FilterID]bool{}, map[FilterID]bool{}
	w.sticky, w.balance, w.attached = map[Pair]bool{}, map[Pair]int{}, map[Joint]int{}
	w.state.faults = faults
	for _, input := range setup {
		if why := w.apply(input); why != "" {
			return 0, why
		}
	}
	w.settleAll()
	e.visit(w)
	return len(e.seen), e.failure
}

// settleAll lets all work succeed, for a start from rest.
func (w *world) settleAll() {
	for len(w.offers) > 0 {
		for _, work := range sorted(w.offers) {
			w.apply(Claim{work})
			if w.runs[work] {
				w.apply(Finished{Work: work})
			}
		}
	}
}

func sorted(set map[Work]bool) []Work {
	list := slices.Collect(maps.Keys(set))
	sort.Slice(list, func(i, j int) bool { return fmt.Sprint(list[i]) < fmt.Sprint(list[j]) })
	return list
}

func (e *explorer) visit(w *world) {
	if e.failure != "" {
		return
	}
	if key := w.key(); e.seen[key] {
		return
	} else {
		e.seen[key] = true
	}
	moved := false
	try := func(name string, input func(*world) Input) {
		if e.failure != "" {
			return
		}
		moved = true
		next := w.clone()
		e.trail = append(e.trail, name)
		if why := next.do(input); why != "" {
			e.failure = why + "\n\t" + strings.Join(e.trail, "\n\t")
		}
		e.visit(next)
		e.trail = e.trail[:len(e.trail)-1]
	}
	for i, a := range e.actors {
		if w.at[i] < len(a.steps) {
			try(fmt.Sprintf("%s %d", a.name, w.at[i]), func(n *world) Input {
				n.at[i]++
				return a.steps[n.at[i]-1](n.state, &n.memos[i])
			})
		}
	}
	w.work(try)
	if !moved && e.failure == "" {
		if why := w.atRest(); why != "" {
			e.failure = why + "\n\t" + strings.Join(e.trail, "\n\t")
		}
	}
}

// work tries everything that can happen to the work that is out.
func (w *world) work(try func(string, func(*world) Input)) {
	input := func(i Input) func(*world) Input { return func(*world) Input { return i } }
	spend := func(i Input) func(*world) Input {
		return func(n *world) Input { n.faults--; return i }
	}
	for _, work := range sorted(w.offers) {
		try(fmt.Sprint("claim ", work), input(Claim{work}))
	}
	for _, work := range sorted(w.retry) {
		try(fmt.Sprint("retry ", work), func(n *world) Input { delete(n.retry, work); return RetryDue{work} })
	}
	for _, work := range sorted(w.runs) {
		try(fmt.Sprint("ok ", work), input(Finished{Work: work}))
		if w.faults == 0 {
			continue
		}
		switch work.Kind {
		case Ask, SetUp:
			try(fmt.Sprint("declined ", work), spend(Finished{work, Declined, "no business"}))
		case AttachFrame:
			try(fmt.Sprint("unsupported ", work), spend(Finished{work, Unsupported, "no handles"}))
		default:
			continue
		}
		try(fmt.Sprint("failed ", work), spend(Finished{work, Failed, "trouble"}))
		if !w.hung[work] {
			try(fmt.Sprint("late ", work), func(n *world) Input {
				n.faults--
				n.hung[work] = true
				return TimedOut{work, "late"}
			})
		}
	}
}

func (w *world) do(input func(*world) Input) string {
	i := input(w)
	if i == nil {
		return ""
	}
	return w.apply(i)
}

// apply feeds the machine, follows what an observer sees, and checks every promise.
func (w *world) apply(i Input) string {
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
		w.arrive(i.Volume)
	case publishVolume:
		w.arrive(i.volume)
	case VolumeLeft:
		delete(w.volumes, i.Volume)
	case FilterRegistered:
		w.known[i.Filter] = true
	case FilterStarted:
		w.begin(i.Filter)
	case publishFilter:
		w.begin(i.filter)
	case FilterStopping:
		delete(w.filters, i.Filter)
	case Detach:
		if w.volumes[i.Pair.Volume] && w.filters[i.Pair.Filter] && !w.shutdown {
			w.sticky[i.Pair] = true
		}
	case Attach:
		if w.volumes[i.Pair.Volume] && w.filters[i.Pair.Filter] && !w.shutdown {
			delete(w.sticky, i.Pair)
		}
	case Claim:
		delete(w.offers, i.Work)
	case Finished:
		w.finish(i)
	case Shutdown:
		w.shutdown = true
	}
}

func (w *world) arrive(v weir.VolumeID) {
	if !w.shutdown && !w.present[v] {
		w.volumes[v], w.present[v] = true, true
	}
}

func (w *world) begin(f FilterID) {
	if !w.shutdown && w.known[f] {
		w.filters[f] = true
	}
}

func (w *world) finish(i Finished) {
	delete(w.runs, i.Work)
	delete(w.hung, i.Work)
	switch {
	case i.Work.Kind == SetUp && i.Outcome == OK:
		w.balance[i.Work.Pair()]++
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
		return w.start(e.Work)
	case Retry:
		w.retry[e.Work] = true
	case VolumeGone:
		delete(w.present, e.Volume)
		maps.DeleteFunc(w.sticky, func(p Pair, _ bool) bool { return p.Volume == e.Volume })
		return w.unused(func(p Pair) bool { return p.Volume == e.Volume })
	case FilterGone:
		delete(w.known, e.Filter)
		maps.DeleteFunc(w.sticky, func(p Pair, _ bool) bool { return p.Filter == e.Filter })
		return w.unused(func(p Pair) bool { return p.Filter == e.Filter })
	case Down:
		w.down = true
		return w.unused(func(Pair) bool { return true })
	}
	return ""
}

// start checks that no two runners are ever inside one slot or link.
func (w *world) start(work Work) string {
	for other := range w.runs {
		if other.Volume == work.Volume && other.Filter == work.Filter && other.Instance == work.Instance && other.Frame == work.Frame && work.Kind.ofSlot() == other.Kind.ofSlot() {
			return fmt.Sprintf("I5: %v runs beside %v", work, other)
		}
	}
	if work.Kind == AttachFrame && !w.concerned(work.joint()) {
		return fmt.Sprintf("I10: %v is observed, and no filter has said that it concerns it", work.joint())
	}
	if work.Kind.ofSlot() && work.Kind != TearDown && w.sticky[work.Pair()] {
		return fmt.Sprintf("I7: set-up of %v, which is detached", work.Pair())
	}
	w.runs[work] = true
	return ""
}

func (w *world) concerned(j Joint) bool {
	for p, l := range w.state.slots {
		if l.asked && w.state.jointOf(p) == j {
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

// check is what must hold in every state.
func (w *world) check() string {
	for v := range w.volumes {
		for f := range w.filters {
			for i := range w.state.filters[f].instances {
				if _, ok := w.state.slots[Pair{f, i, v}]; !ok && !w.shutdown {
					return fmt.Sprintf("I2: no slot for %v", Pair{f, i, v})
				}
			}
		}
		for id := range w.state.frames {
			if _, ok := w.state.links[Joint{FrameID(id), v}]; !ok {
				return fmt.Sprintf("I1: no link of frame %d on volume %d", id, v)
			}
		}
	}
	for p, l := range w.state.slots {
		if !w.present[p.Volume] || !w.known[p.Filter] {
			return fmt.Sprintf("I8: slot %v refers to what is gone", p)
		}
		if want := map[bool]int{true: 1}[l.instance]; w.balance[p] != want {
			return fmt.Sprintf("I5: %v is %v with %d instances", p, l.state, w.balance[p])
		}
		if l.state == SlotAttached && (w.sticky[p] || !w.volumes[p.Volume] || !w.filters[p.Filter]) {
			return fmt.Sprintf("I7, I8: %v is attached though it was withdrawn", p)
		}
		if l.state == SlotAttached && !w.state.links[w.state.jointOf(p)].covers() {
			return fmt.Sprintf("%v is attached on a link that is %v", p, w.state.links[w.state.jointOf(p)].state)
		}
	}
	for p, n := range w.balance {
		if _, ok := w.state.slots[p]; n < 0 || n > 1 || n == 1 && !ok {
			return fmt.Sprintf("I5: %d instances of %v (slot %v)", n, p, ok)
		}
	}
	for j, n := range w.attached {
		if n < 0 || n > 1 || n == 1 && !w.state.links[j].held {
			return fmt.Sprintf("%d attachments of %v", n, j)
		}
	}
	return ""
}

// covers tells whether an instance may exist: what was unsupported may be tried again meanwhile.
func (l link) covers() bool { return l.held || l.missed }

// atRest is what must hold when nothing can happen any more.
func (w *world) atRest() string {
	for p, l := range w.state.slots {
		switch l.state {
		case SlotAttached, SlotDeclined, SlotDetached, SlotExcluded:
		default:
			return fmt.Sprintf("stuck: %v is %v (%s)", p, l.state, l.why)
		}
		if w.sticky[p] && l.state != SlotDetached {
			return fmt.Sprintf("I7: %v was detached and is %v", p, l.state)
		}
	}
	for v := range w.present {
		if !w.volumes[v] {
			return fmt.Sprintf("stuck: volume %d has left and is not forgotten", v)
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
