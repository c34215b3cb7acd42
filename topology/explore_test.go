package topology

import (
	"fmt"
	"strings"

	"github.com/weirfs/weir"
)

// step is one atomic step of an actor. memo is the actor's own memory, for actors that list first and
// publish later.
type step func(w *world, memo *memo) []Input

type memo struct {
	volumes []weir.VolumeID
	filters []FilterID
	frames  int
}

type actor struct {
	name  string
	steps []step
	tail  int // how many writes to the journal are lost with its crash
}

// does is an actor of which each step is one input.
func does(name string, inputs ...Input) actor {
	a := actor{name: name}
	for _, input := range inputs {
		a.steps = append(a.steps, func(*world, *memo) []Input { return []Input{input} })
	}
	return a
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
	w.at, w.memos = make([]int, len(actors)), make([]memo, len(actors))
	w.bring()
	w.kernel = map[weir.VolumeID]VolumeArrived{}
	for _, input := range setup {
		if why := w.apply(input); why != "" {
			return 0, why
		}
	}
	w.settleAll()
	w.state.faults = faults
	for _, a := range actors {
		w.tail = max(w.tail, a.tail)
	}
	e.visit(w)
	return len(e.seen), e.failure
}

// settleAll lets all work succeed, for a start from rest.
func (w *world) settleAll() {
	for list := w.which(offered); len(list) > 0; list = w.which(offered) {
		for _, work := range list {
			w.apply(Claim{work})
			if w.works[work].runs {
				w.apply(Finished{Work: work})
			}
		}
	}
}

func (e *explorer) visit(w *world) {
	if e.failure != "" {
		return
	}
	key := w.key()
	if e.seen[key] {
		return
	}
	e.seen[key] = true
	moved := false
	try := func(name func() string, inputs func(*world) []Input) {
		if e.failure != "" {
			return
		}
		moved = true
		next := w.clone()
		why := ""
		for _, input := range inputs(next) {
			if why = next.apply(input); why != "" {
				break
			}
		}
		e.trail = append(e.trail, name())
		if why != "" {
			e.failure = why + "\n\t" + strings.Join(e.trail, "\n\t")
		}
		e.visit(next)
		e.trail = e.trail[:len(e.trail)-1]
	}
	for i, a := range e.actors {
		if w.at[i] < len(a.steps) {
			try(func() string { return fmt.Sprintf("%s, step %d", a.name, w.at[i]+1) }, func(n *world) []Input {
				n.at[i]++
				return a.steps[n.at[i]-1](n, &n.memos[i])
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
func (w *world) work(try func(func() string, func(*world) []Input)) {
	input := func(what string, work Work, i Input) {
		try(func() string { return fmt.Sprint(what, " ", work) }, func(*world) []Input { return []Input{i} })
	}
	spend := func(what string, work Work, i Input) {
		try(func() string { return fmt.Sprint(what, " ", work) }, func(n *world) []Input { n.faults--; return []Input{i} })
	}
	for _, work := range w.which(offered) {
		input("claim", work, Claim{work})
	}
	for _, work := range w.which(func(p progress) bool { return p.retry }) {
		try(func() string { return fmt.Sprint("retry ", work) }, func(n *world) []Input {
			n.track(work, func(p *progress) { p.retry = false })
			return []Input{RetryDue{work}}
		})
	}
	for _, work := range w.which(runs) {
		input("ok", work, Finished{Work: work})
		if w.faults == 0 {
			continue
		}
		switch work.Kind {
		case Ask, SetUp:
			spend("declined", work, Finished{work, Declined, "no business"})
		case AttachFrame:
			spend("unsupported", work, Finished{work, Unsupported, "no handles"})
		default:
			continue
		}
		spend("failed", work, Finished{work, Failed, "trouble"})
		if !w.works[work].hung {
			try(func() string { return fmt.Sprint("late ", work) }, func(n *world) []Input {
				n.faults--
				n.track(work, func(p *progress) { p.hung = true })
				return []Input{TimedOut{work, "late"}}
			})
		}
	}
}
