package spec

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/topology"
)

// TestTopologyFollows has spin walk through attach.pml at random, and the shipped topology follow: it has to
// grant what the model grants, and to have every slot and link in the model's state after every step.
func TestTopologyFollows(t *testing.T) {
	voltest.RequireTool(t, "spin", "spin")
	seeds := 40
	if *large {
		seeds = 2000
	}
	for _, switches := range []string{
		"LEAVE=0 REMOUNT DETACH REATTACH CHANGE FAILS=3",
		"LEAVE=1 SECOND STOP=1 DETACH REATTACH FAILS=3",
		"LAYER LEAVE=2 STOP=0 DETACH FAILS=3",
		"SECOND SHUTDOWN LEAVE=0 DETACH CHANGE FAILS=2",
	} {
		t.Run(strings.ReplaceAll(switches, " ", ","), func(t *testing.T) {
			t.Parallel()
			c, steps := newChecker(t, variant{model: "attach", switches: switches}), 0
			for seed := range seeds {
				n, why := c.follow(switches, 1+seed)
				if why != "" {
					t.Fatal(why)
				}
				steps += n
			}
			t.Logf("%d walks, %d steps", seeds, steps)
		})
	}
}

// TestStraysAreNotFollowed has topology follow mutants.
func TestStraysAreNotFollowed(t *testing.T) {
	voltest.RequireTool(t, "spin", "spin")
	for _, switches := range []string{"LEAVE_TO_OWNER LEAVE=0", "FORGET_CHANGE CHANGE", "OBSERVE_FIRST"} {
		c := newChecker(t, variant{model: "attach", switches: switches})
		why := ""
		for seed := 1; seed <= 100 && why == ""; seed++ {
			_, why = c.follow(switches, seed)
		}
		if !strings.Contains(why, "the model is at") {
			t.Errorf("%s: topology has followed everywhere; at last: %q", switches, why)
		}
	}
}

// follow returns the number of steps of one walk, or where model and topology part. Seed 0 is none for spin.
func (c checker) follow(switches string, seed int) (steps int, why string) {
	c.t.Helper()
	command := c.spin(fmt.Sprintf("-n%d", seed), "-T")
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = c.dir
	out, _ := cmd.CombinedOutput() // a broken promise is an error, and a line that is no step
	told, _, rested := strings.Cut(string(out), "#processes")
	if !rested {
		c.t.Fatalf("%s\n%s", command, told)
	}
	f := newFollower(switches)
	for line := range strings.Lines(told) {
		line = strings.TrimSpace(line)
		if model, is := strings.CutPrefix(line, "= "); !is {
			why = f.step(line)
			steps++
		} else if code := f.states(); code != model {
			why = "the model is at   " + model + "\n\ttopology is at    " + code
		}
		if why != "" {
			return steps, fmt.Sprintf("%s\n%s\n%s: %s", command, told, line, why)
		}
	}
	if why = f.atRest(); why != "" {
		why = fmt.Sprintf("%s\n%s\n%s", command, told, why)
	}
	return steps, why
}

// follower is a topology, and the work that is out. Volumes and filters have the model's numbers and one.
type follower struct {
	state            *topology.State
	offered, running map[topology.Work]bool
	retries          map[topology.Work]bool // whose timer runs
	volumes, filters int
	layer            weir.VolumeID
}

// Filter 0 is below the layer, the others are above it.
var altitudes = []string{"100000", "200000", "210000"}

const layerAltitude = "139998.99"

// newFollower returns a topology in the state in which the model begins.
func newFollower(switches string) *follower {
	f := &follower{state: topology.New(), offered: map[topology.Work]bool{}, running: map[topology.Work]bool{}, retries: map[topology.Work]bool{}, volumes: 2, filters: 2, layer: 9}
	words := strings.Fields(switches)
	if slices.Contains(words, "LAYER") {
		f.layer = 3
	}
	if slices.Contains(words, "LAYER") || slices.Contains(words, "REMOUNT") {
		f.volumes = 3
	}
	if slices.Contains(words, "SECOND") {
		f.filters = 3
	}
	f.register(0)
	f.apply(topology.FilterStarted{Filter: 1})
	f.arrive(1)
	for len(f.offered) > 0 {
		for work := range f.offered {
			f.begin(work)
			f.end(work, topology.OK)
		}
	}
	if f.layer == 9 {
		f.arrive(9) // the layer that makes filter 1 begin a frame; what it owes is never done
	}
	return f
}

func (f *follower) apply(input topology.Input) (started []topology.Work) {
	for _, effect := range f.state.Apply(input) {
		switch e := effect.(type) {
		case topology.Offer:
			f.offered[e.Work] = true
		case topology.Start:
			started = append(started, e.Work)
			f.running[e.Work] = true
		case topology.Retry:
			f.retries[e.Work] = true
		}
	}
	return started
}

func (f *follower) arrive(v weir.VolumeID) {
	input := topology.VolumeArrived{Volume: v}
	if v == f.layer {
		input.Layer, input.Altitude = true, weir.MustAltitude(layerAltitude)
	}
	f.apply(input)
}

func (f *follower) register(g int) {
	f.apply(topology.FilterRegistered{Filter: topology.FilterID(g + 1), Altitude: weir.MustAltitude(altitudes[g])})
}

func (f *follower) begin(work topology.Work) string {
	if !f.offered[work] {
		return fmt.Sprintf("topology has not offered %v", work)
	}
	delete(f.offered, work)
	if started := f.apply(topology.Claim{Work: work}); len(started) != 1 {
		return fmt.Sprintf("topology has not granted %v", work)
	}
	return ""
}

func (f *follower) end(work topology.Work, outcome topology.Outcome) string {
	if !f.running[work] {
		return fmt.Sprintf("%v does not run", work)
	}
	delete(f.running, work)
	f.apply(topology.Finished{Work: work, Outcome: outcome, Why: "the model says so"})
	return ""
}

// step does what a line of the walk tells. a and b are its numbers.
func (f *follower) step(line string) string {
	for text, do := range steps {
		var a, b int
		numbers := []any{&a, &b}[:strings.Count(text, "%d")]
		if n, err := fmt.Sscanf(line, text, numbers...); err == nil && n == len(numbers) {
			return do(f, a, b)
		}
	}
	return "no step of topology"
}

func slotWork(kind topology.WorkKind, g, v int) topology.Work {
	return topology.Work{Kind: kind, Filter: topology.FilterID(g + 1), Volume: weir.VolumeID(v + 1)}
}

func linkWork(kind topology.WorkKind, v, frame int) topology.Work {
	return topology.Work{Kind: kind, Frame: topology.FrameID(frame), Volume: weir.VolumeID(v + 1)}
}

// built is the work that builds up a slot, if it runs.
func (f *follower) built(g, v int) topology.Work {
	if w := slotWork(topology.Ask, g, v); f.running[w] {
		return w
	}
	return slotWork(topology.SetUp, g, v)
}

func input(make func(a, b int) topology.Input) func(f *follower, a, b int) string {
	return func(f *follower, a, b int) string { f.apply(make(a, b)); return "" }
}

func pair(g, v int) topology.Pair {
	return topology.Pair{Filter: topology.FilterID(g + 1), Volume: weir.VolumeID(v + 1)}
}

func nothing(*follower, int, int) string { return "" }

// steps says which input of topology each line of a walk is.
var steps = map[string]func(f *follower, a, b int) string{
	"volume %d arrives":       func(f *follower, v, _ int) string { f.arrive(weir.VolumeID(v + 1)); return "" },
	"filter %d is registered": func(f *follower, g, _ int) string { f.register(g); return "" },
	"topology is told that volume %d has changed": input(func(v, _ int) topology.Input {
		return topology.VolumeChanged{Volume: weir.VolumeID(v + 1)}
	}),
	"volume %d leaves":              input(func(v, _ int) topology.Input { return topology.VolumeLeft{Volume: weir.VolumeID(v + 1)} }),
	"filter %d starts":              input(func(g, _ int) topology.Input { return topology.FilterStarted{Filter: topology.FilterID(g + 1)} }),
	"filter %d stops":               input(func(g, _ int) topology.Input { return topology.FilterStopping{Filter: topology.FilterID(g + 1)} }),
	"shutdown":                      input(func(int, int) topology.Input { return topology.Shutdown{} }),
	"timeout":                       nothing,
	"the mounts of volume 0 change": nothing,
	"filter 1 looks at volume 0":    nothing,
	"filter %d is detached from volume %d": input(func(g, v int) topology.Input {
		return topology.Detach{Pair: pair(g, v), By: "the model"}
	}),
	"filter %d is attached to volume %d by hand": input(func(g, v int) topology.Input { return topology.Attach{Pair: pair(g, v)} }),

	"filter %d is asked about volume %d": func(f *follower, g, v int) string { return f.begin(slotWork(topology.Ask, g, v)) },
	"filter %d says that volume %d concerns it": func(f *follower, g, v int) string {
		return f.end(slotWork(topology.Ask, g, v), topology.OK)
	},
	"Setup of filter %d on volume %d begins": func(f *follower, g, v int) string { return f.begin(slotWork(topology.SetUp, g, v)) },
	"Setup of filter %d on volume %d succeeds": func(f *follower, g, v int) string {
		return f.end(slotWork(topology.SetUp, g, v), topology.OK)
	},
	"filter %d declines volume %d": func(f *follower, g, v int) string { return f.end(f.built(g, v), topology.Declined) },
	"filter %d fails on volume %d": func(f *follower, g, v int) string { return f.end(f.built(g, v), topology.Failed) },
	"filter %d does not return from volume %d in time": func(f *follower, g, v int) string {
		f.apply(topology.TimedOut{Work: f.built(g, v), Why: "the model says so"})
		return ""
	},
	"filter %d is tried again on volume %d": input(func(g, v int) topology.Input {
		return topology.RetryDue{Work: slotWork(topology.SetUp, g, v)}
	}),
	"Teardown of filter %d on volume %d begins": func(f *follower, g, v int) string { return f.begin(slotWork(topology.TearDown, g, v)) },
	"Teardown of filter %d on volume %d ends": func(f *follower, g, v int) string {
		return f.end(slotWork(topology.TearDown, g, v), topology.OK)
	},

	"the plane attaches to volume %d for frame %d": func(f *follower, v, n int) string { return f.begin(linkWork(topology.AttachFrame, v, n)) },
	"volume %d is observed for frame %d": func(f *follower, v, n int) string {
		return f.end(linkWork(topology.AttachFrame, v, n), topology.OK)
	},
	"the plane fails on volume %d for frame %d": func(f *follower, v, n int) string {
		return f.end(linkWork(topology.AttachFrame, v, n), topology.Failed)
	},
	"the plane is tried again on volume %d for frame %d": input(func(v, n int) topology.Input {
		return topology.RetryDue{Work: linkWork(topology.AttachFrame, v, n)}
	}),
	"the plane detaches from volume %d for frame %d": func(f *follower, v, n int) string { return f.begin(linkWork(topology.DetachFrame, v, n)) },
	"volume %d is not observed any more for frame %d": func(f *follower, v, n int) string {
		return f.end(linkWork(topology.DetachFrame, v, n), topology.OK)
	},
}

// states writes every state as the model does: by volume, the slots of all filters, then the links of both frames.
func (f *follower) states() string {
	at := map[string]string{}
	view := f.state.View()
	for _, s := range view.Slots {
		at[fmt.Sprint("slot ", s.Pair.Filter, s.Pair.Volume)] = s.State.String()
	}
	for _, l := range view.Links {
		at[fmt.Sprint("link ", int(l.Joint.Frame), l.Joint.Volume)] = l.State.String()
	}
	var words []string
	add := func(key string) {
		if at[key] == "" {
			at[key] = "none"
		}
		words = append(words, strings.ReplaceAll(at[key], " ", ""))
	}
	for v := 1; v <= f.volumes; v++ {
		for g := 1; g <= f.filters; g++ {
			add(fmt.Sprint("slot ", topology.FilterID(g), weir.VolumeID(v)))
		}
		for n := range 2 {
			add(fmt.Sprint("link ", n, weir.VolumeID(v)))
		}
	}
	return strings.Join(words, " ")
}

// atRest tells what topology would still do where the model has nothing more to do.
func (f *follower) atRest() string {
	for work := range f.running {
		return fmt.Sprintf("%v still runs", work)
	}
	for work := range f.offered {
		if work.Volume == f.layer && f.layer == 9 {
			continue
		}
		if started := f.apply(topology.Claim{Work: work}); len(started) > 0 {
			return fmt.Sprintf("the model is at rest, and topology grants %v", work)
		}
	}
	before := f.states()
	for work := range f.retries {
		if f.apply(topology.RetryDue{Work: work}); f.states() != before {
			return fmt.Sprintf("the model is at rest, and topology tries %v again", work)
		}
	}
	return ""
}
