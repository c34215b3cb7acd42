package topology

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirfs/weir"
)

const (
	oldVolume, newVolume weir.VolumeID = 1, 2
	oldFilter, newFilter FilterID      = 1, 2
)

var (
	oldPair = Pair{oldFilter, 0, oldVolume}
	newPair = Pair{oldFilter, 0, newVolume}
)

func registers(f FilterID, altitude string) Input {
	return FilterRegistered{Filter: f, Altitude: weir.MustAltitude(altitude)}
}

// twoInstances has one that is attached by itself, and one by hand.
func twoInstances(f FilterID) Input {
	return FilterRegistered{Filter: f, Altitude: weir.MustAltitude("40"), Instances: []Instance{
		{Altitude: weir.MustAltitude("40")}, {Altitude: weir.MustAltitude("60"), Manual: true},
	}}
}

// rest is a filter with an instance on a volume.
func rest() []Input {
	return []Input{registers(oldFilter, "100"), FilterStarted{oldFilter}, VolumeArrived{Volume: oldVolume, Listed: true}, DiscoveryListed{}}
}

// actors are everything that can happen by itself. Layers come above the filter that is there.
func actors() []actor {
	return []actor{
		does("mount", VolumeArrived{Volume: newVolume}, VolumeChanged{Volume: newVolume}),
		does("mount and dismount", VolumeArrived{Volume: 4}, VolumeLeft{4}),
		does("dismount", VolumeLeft{oldVolume}),
		does("dismount and mount again", VolumeLeft{oldVolume}, VolumeArrived{Volume: 6}),
		does("remount", VolumeChanged{Volume: oldVolume}, VolumeChanged{Volume: oldVolume}),
		does("layer", arrives(5, "150")),
		does("start", registers(newFilter, "200.5"), FilterStarted{newFilter}),
		does("start and stop", registers(3, "50"), FilterStarted{3}, FilterStopping{Filter: 3}),
		does("start two instances", twoInstances(4), FilterStarted{4}, Attach{Pair{4, 1, oldVolume}}),
		does("stop", FilterStopping{Filter: oldFilter}),
		does("detach", Detach{oldPair, "operator"}),
		does("detach and attach", Detach{newPair, "operator"}, Attach{newPair}),
		does("attach", Attach{oldPair}),
		does("lose concern", Unconcern{oldPair, "none of its business"}),
		does("overflow", DiscoveryMissed{"overflow"}, VolumeArrived{Volume: newVolume, Listed: true}, DiscoveryListed{}),
		does("excluded mount", VolumeArrived{Volume: 3, Excluded: "rule"}, Attach{Pair{oldFilter, 0, 3}}),
		does("exclude", VolumeChanged{oldVolume, "rule"}),
		does("shutdown", Shutdown{}),
		crashes(0),
		crashes(2),
	}
}

// every explores all sets of n actors that pick does not leave out, on all processors. Under the race detector, which
// makes that take thirty times as long and finds nothing in a machine without goroutines, only some of them.
func every(t *testing.T, n int, start world, pick func(list []actor) bool) {
	t.Helper()
	var sets [][]actor
	choose(actors(), n, nil, func(list []actor) {
		if pick == nil || pick(list) {
			sets = append(sets, list)
		}
	})
	if raceEnabled {
		few := sets[:0]
		for i := 0; i < len(sets); i += 1 + len(sets)/8 {
			few = append(few, sets[i])
		}
		sets = few
	}
	var total atomic.Int64
	work := make(chan []actor)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for list := range work {
				w := start
				states, failure := exploreFrom(&w, faults{}, rest(), list)
				total.Add(int64(states))
				if failure != "" {
					t.Errorf("%s: %s", names(list), failure)
				}
			}
		})
	}
	for _, list := range sets {
		work <- list
	}
	close(work)
	all.Wait()
	t.Logf("%d sets of %d actors, with %d faults: %d states", len(sets), n, start.faults, total.Load())
}

func choose(from []actor, n int, chosen []actor, fn func([]actor)) {
	if n == 0 {
		fn(slices.Clone(chosen))
		return
	}
	for i := range from {
		choose(from[i+1:], n-1, append(chosen, from[i]), fn)
	}
}

func names(list []actor) string {
	var names []string
	for _, a := range list {
		names = append(names, a.name)
	}
	return strings.Join(names, " | ")
}

func TestEveryInterleavingOfTwo(t *testing.T) {
	every(t, 2, world{faults: 1}, nil)
	every(t, 2, world{faults: 2, prompt: true}, func(list []actor) bool {
		return !slices.ContainsFunc(list, func(a actor) bool { return a.name == "crash" })
	})
}

func TestEveryInterleavingOfThree(t *testing.T) {
	every(t, 3, world{prompt: true}, func(list []actor) bool {
		return !slices.ContainsFunc(list, func(a actor) bool { return a.name == "crash" && a.tail == 0 })
	})
}

// Filters that hesitate, and fail, between two that come and go.
func TestHesitantFilters(t *testing.T) {
	every(t, 3, world{faults: 1}, func(list []actor) bool {
		for _, a := range list {
			if !slices.Contains([]string{"dismount", "remount", "detach", "attach", "crash"}, a.name) {
				return false
			}
		}
		return true
	})
}

// stopsByForce does what is done when an unloading turns out not to end.
func stopsByForce() actor {
	return does("stop by force", FilterStopping{Filter: oldFilter, Mandatory: true})
}

// What weir takes away stays away, and an unloading that becomes mandatory is known as such to every instance whose teardown
// begins later, whatever else happens.
func TestRemovalsAndMandatoryUnloads(t *testing.T) {
	total := 0
	for _, other := range actors() {
		for _, pair := range [][]actor{
			{does("remove", Remove{oldPair, "rule"}), actorNamed("detach and attach")},
			{does("remove and attach", Remove{newPair, "rule"}, Attach{newPair})},
			{does("remove", Remove{oldPair, "rule"}), does("exclude for a while", VolumeChanged{oldVolume, "rule"}, VolumeChanged{Volume: oldVolume})},
			{does("stop", FilterStopping{Filter: oldFilter}), stopsByForce()},
		} {
			n, failure := exploreFrom(&world{prompt: true, faults: 1}, faults{}, rest(), append(pair, other))
			total += n
			if failure != "" {
				t.Errorf("%s and %s: %s", names(pair), other.name, failure)
			}
		}
	}
	t.Logf("%d states", total)
}

// The first frame is created while volumes come.
func TestFirstFilterMeetsMounts(t *testing.T) {
	n, failure := explore(faults{}, 1, nil,
		does("mount", VolumeArrived{Volume: oldVolume}),
		does("mount and dismount", VolumeArrived{Volume: newVolume}, VolumeLeft{newVolume}),
		does("start", registers(newFilter, "200.5"), FilterStarted{newFilter}))
	if failure != "" {
		t.Fatal(failure)
	}
	t.Logf("%d states", n)
}

func TestViewIsComplete(t *testing.T) {
	s := New()
	for _, input := range rest() {
		s.Apply(input)
	}
	v := s.View()
	got := fmt.Sprint(v.Complete, v.Volumes, v.Filters, v.Slots, v.Links)
	want := "true [{1 false true false 0}] [{1 100 0 true false}] [{{1 0 1} 100 pending   0 false }] [{{0 1} idle  0}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A refusal stands while the filter is asked again. That the volume concerns the filter is no other answer if it has declined
// in Setup.
func TestRefusalStandsUntilThereIsAnotherAnswer(t *testing.T) {
	for declines, want := range map[WorkKind]string{
		Ask:   "[ask:  ask: no set up: ]",
		SetUp: "[ask:  set up:  ask: no set up: no]",
	} {
		var told []string // why the filter declines, whenever it is called
		s, answer := New(), Declined
		do := func(input Input) {
			for queue := []Input{input}; len(queue) > 0; queue = queue[1:] {
				for _, effect := range s.Apply(queue[0]) {
					switch e := effect.(type) {
					case Offer:
						queue = append(queue, Claim(e))
					case Start:
						f := Finished{Work: e.Work}
						if e.Work.Kind == declines {
							f.Outcome, f.Why = answer, "no"
						}
						if slot, _ := s.Slot(oldPair); e.Work.Kind.ofSlot() {
							told = append(told, fmt.Sprintf("%s: %s", e.Work.Kind, slot.Declined))
						}
						queue = append(queue, f)
					}
				}
			}
		}
		for _, input := range rest() {
			do(input)
		}
		answer = OK
		do(VolumeChanged{Volume: oldVolume})
		if slot, _ := s.Slot(oldPair); fmt.Sprint(told) != want || slot.State != SlotAttached || slot.Declined != "" {
			t.Errorf("declined in %s: %s, and then %+v; want %s", declines, told, slot, want)
		}
	}
}
