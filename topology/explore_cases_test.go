package topology

import (
	"fmt"
	"strings"
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

// rest is a filter with an instance on a volume.
func rest() []Input {
	return []Input{registers(oldFilter, "100"), FilterStarted{oldFilter}, VolumeArrived{Volume: oldVolume, Listed: true}}
}

func actors() []actor {
	return []actor{
		does("mount", VolumeArrived{Volume: newVolume}, VolumeChanged{newVolume}),
		does("mount and dismount", VolumeArrived{Volume: 4}, VolumeLeft{4}),
		does("dismount", VolumeLeft{oldVolume}),
		does("remount", VolumeChanged{oldVolume}, VolumeChanged{oldVolume}),
		does("start", registers(newFilter, "200.5"), FilterStarted{newFilter}),
		does("start and stop", registers(3, "50"), FilterStarted{3}, FilterStopping{3}),
		does("stop", FilterStopping{oldFilter}),
		does("detach", Detach{oldPair, "operator"}),
		does("detach and attach", Detach{newPair, "operator"}, Attach{newPair}),
		does("attach", Attach{oldPair}),
		does("overflow", DiscoveryMissed{"overflow"}, VolumeArrived{Volume: newVolume, Listed: true}, DiscoveryListed{}),
		does("excluded mount", VolumeArrived{Volume: 3, Excluded: "rule"}, Attach{Pair{oldFilter, 0, 3}}),
		does("shutdown", Shutdown{}),
	}
}

func TestEveryInterleavingOfTwo(t *testing.T) {
	t.Parallel()
	worlds := []world{{faults: 1}, {faults: 2, prompt: true}}
	if raceEnabled || testing.Short() {
		worlds = worlds[:1]
	}
	total, list := 0, actors()
	for i := range list {
		for j := i + 1; j < len(list); j++ {
			for _, w := range worlds {
				n, failure := exploreFrom(&w, faults{}, rest(), []actor{list[i], list[j]})
				total += n
				if failure != "" {
					t.Fatalf("%s | %s: %s", list[i].name, list[j].name, failure)
				}
			}
		}
	}
	t.Logf("%d states", total)
}

func TestEveryInterleavingOfThree(t *testing.T) {
	t.Parallel()
	total := 0
	list := actors()
	if raceEnabled || testing.Short() {
		list = append(list[1:4:4], list[7], list[12]) // mount and dismount, dismount, remount, detach, shutdown
	}
	for i := range list {
		for j := i + 1; j < len(list); j++ {
			for k := j + 1; k < len(list); k++ {
				n, failure := exploreFrom(&world{prompt: true}, faults{}, rest(), []actor{list[i], list[j], list[k]})
				total += n
				if failure != "" {
					t.Fatalf("%s | %s | %s: %s", list[i].name, list[j].name, list[k].name, failure)
				}
			}
		}
	}
	t.Logf("%d states", total)
}

// The first frame is created while volumes come: the order that the original got wrong.
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

// publishVolume and publishFilter are what the original did: they owe what was listed before.
type publishVolume struct {
	volume  weir.VolumeID
	filters []FilterID
}

func (i publishVolume) apply(s *State) {
	s.volumes[i.volume] = volume{}
	for id := range s.frames {
		s.setLink(Joint{FrameID(id), i.volume}, link{})
	}
	for _, f := range i.filters {
		s.oweAll(f, i.volume, weir.SetupNewlyMounted)
	}
	s.review(i.volume)
}

type publishFilter struct {
	filter  FilterID
	volumes []weir.VolumeID
}

func (i publishFilter) apply(s *State) {
	f := s.filters[i.filter]
	f.phase = started
	s.filters[i.filter] = f
	for _, v := range i.volumes {
		s.oweAll(i.filter, v, weir.SetupAutomatic)
		s.review(v)
	}
}

func listThenPublish() (mount, start actor) {
	mount = actor{"mount", []step{
		func(s *State, m *memo) Input { m.filters = s.startedFilters(); return nil },
		func(s *State, m *memo) Input { return publishVolume{newVolume, m.filters} },
	}}
	start = actor{"start", []step{
		func(*State, *memo) Input { return registers(newFilter, "200.5") },
		func(s *State, m *memo) Input { m.volumes = s.volumeIDs(); return nil },
		func(s *State, m *memo) Input { return publishFilter{newFilter, m.volumes} },
	}}
	return mount, start
}

func TestMutantsAreCaught(t *testing.T) {
	mount, start := listThenPublish()
	for name, tt := range map[string]struct {
		faults faults
		actors []actor
		want   string
	}{
		"list then publish": {faults{}, []actor{mount, start}, "I2: no slot for {2 0 2}"},
		"owe nothing":       {faults{oweNothing: true}, actors()[:1], "I2"},
		"blind commit":      {faults{commitBlind: true}, []actor{actors()[1]}, "is attached though it was withdrawn"},
		"observe first":     {faults{observeFirst: true}, actors()[:1], "I10"},
		"forget detach":     {faults{forgetDetach: true}, []actor{actors()[7], actors()[3]}, "I7"},
	} {
		setup := rest()
		if tt.faults.oweNothing {
			setup = setup[:2]
		}
		_, failure := explore(tt.faults, 0, setup, tt.actors...)
		if !strings.Contains(failure, tt.want) {
			t.Errorf("%s: got %q, want %q", name, failure, tt.want)
		}
	}
	// Each side alone is right: only their meeting goes wrong.
	for _, a := range []actor{mount, start} {
		if _, failure := explore(faults{}, 0, rest(), a); failure != "" {
			t.Errorf("%s alone: %s", a.name, failure)
		}
	}
}

func TestViewIsComplete(t *testing.T) {
	s := New()
	for _, input := range rest() {
		s.Apply(input)
	}
	v := s.View()
	got := fmt.Sprint(v.Volumes, v.Filters, v.Slots, v.Links)
	want := "[{1 false true false 0}] [{1 100 0 true false}] [{{1 0 1} 100 pending   0 false}] [{{0 1} idle  0}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
