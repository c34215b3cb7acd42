package topology

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

// publishVolume, publishFrame and publishFilter are what the original did: they join what was listed before.
type publishVolume struct {
	volume  weir.VolumeID
	filters []FilterID
	frames  int
}

func (i publishVolume) apply(s *State) {
	s.volumes[i.volume] = volume{}
	for id := range i.frames {
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

// publishFrame registers a filter above the layer that is there, in a frame that is attached to what was listed.
type publishFrame struct {
	register FilterRegistered
	volumes  []weir.VolumeID
}

func (i publishFrame) apply(s *State) {
	before := s.faults.bareFrame
	s.faults.bareFrame = true
	i.register.apply(s)
	s.faults.bareFrame = before
	for _, v := range i.volumes {
		s.setLink(Joint{FrameID(len(s.frames) - 1), v}, link{})
	}
}

// listThenPublish are a mount and the start of a filter in the order of the original: each side lists the other before
// it is seen itself. So is, with frame, the making of a frame.
func listThenPublish(frame bool) (mount, start actor) {
	mount = actor{name: "mount", steps: []step{
		func(w *world, m *memo) []Input {
			m.filters, m.frames = w.state.startedFilters(), len(w.state.frames)
			return nil
		},
		func(_ *world, m *memo) []Input { return []Input{publishVolume{newVolume, m.filters, m.frames}} },
	}}
	register := registers(newFilter, "200.5").(FilterRegistered)
	list := func(w *world, m *memo) []Input { m.volumes = w.state.volumeIDs(); return nil }
	if frame {
		return mount, actor{name: "frame creation", steps: []step{
			list, func(_ *world, m *memo) []Input { return []Input{publishFrame{register, m.volumes}} },
		}}
	}
	return mount, actor{name: "start", steps: []step{
		func(*world, *memo) []Input { return []Input{register} },
		list,
		func(_ *world, m *memo) []Input { return []Input{publishFilter{newFilter, m.volumes}} },
	}}
}

// TestKB975759 is the defect that weir exists to make impossible: a volume is mounted while a frame is created. Each side
// alone is right; their meeting leaves the volume without the frame, and no listing shows it.
func TestKB975759(t *testing.T) {
	layered := append(rest(), arrives(5, "150"))
	mount, frame := listThenPublish(true)
	for _, a := range []actor{mount, frame} {
		if _, failure := explore(faults{}, 0, layered, a); failure != "" {
			t.Errorf("%s alone: %s", a.name, failure)
		}
	}
	_, failure := explore(faults{}, 0, layered, mount, frame)
	if !strings.HasPrefix(failure, "I1: frame 1 misses volume 2") {
		t.Fatalf("the mutant survives: %q", failure)
	}
	t.Log("the schedule that misses the volume:", failure)
	// The same two, as they ship.
	if n, failure := exploreFrom(&world{prompt: true, faults: 1}, faults{}, layered, []actor{actorNamed("mount"), actorNamed("start")}); failure != "" {
		t.Errorf("after %d states: %s", n, failure)
	}
}

func actorNamed(name string) actor {
	list := actors()
	return list[slices.IndexFunc(list, func(a actor) bool { return a.name == name })]
}

func TestMutantsAreCaught(t *testing.T) {
	mount, start := listThenPublish(false)
	layered := append(rest(), arrives(5, "150"))
	for _, tt := range []struct {
		name    string
		faults  faults
		trouble int // that work may have
		setup   []Input
		actors  []actor
		want    string
	}{
		{"list, then publish (a filter and a volume)", faults{}, 0, rest(), []actor{mount, start}, "I2: no slot for {2 0 2}"},
		{"only one side publishes first", faults{}, 0, rest(), []actor{actorNamed("mount"), start}, "I2: no slot for {2 0 2}"},
		{"publish without owing", faults{oweNothing: true}, 0, rest()[:2], []actor{actorNamed("mount")}, "I2"},
		{"a frame without its volumes", faults{bareFrame: true}, 0, layered, []actor{actorNamed("start")}, "I1: frame 1 misses volume"},
		{"commit without looking again", faults{commitBlind: true}, 0, rest(), []actor{actorNamed("mount and dismount")}, "is attached though it was withdrawn"},
		{"a detach that does not last", faults{forgetDetach: true}, 0, rest(), []actor{actorNamed("detach"), actorNamed("remount")}, "I7"},
		{"unclaimed work is left to its owner", faults{leaveUnclaimed: true}, 0, rest(), []actor{actorNamed("mount and dismount")}, "stuck"},
		{"claim without looking whether the volume is dying", faults{claimDying: true}, 0, rest(), []actor{actorNamed("mount and dismount")}, "stuck"},
		{"look and claim in two steps", faults{claimTwice: true}, 0, rest(), []actor{actorNamed("mount")}, "I5"},
		{"a volume is known by its name", faults{}, 0, rest(), []actor{does("mount again", VolumeLeft{oldVolume}, VolumeArrived{Volume: oldVolume})}, "is mounted and not known"},
		{"a shutdown that keeps instances", faults{keepInstances: true}, 0, rest(), []actor{actorNamed("shutdown")}, "I9"},
		{"observe what nobody was asked about", faults{observeFirst: true}, 0, rest(), []actor{actorNamed("mount")}, "is observed, and no filter"},
		{"set up what was declined without asking again", faults{keepAsked: true}, 1, rest(), []actor{actorNamed("mount")}, "is observed, and no filter has said"},
		{"a removal that does not last", faults{forgetDetach: true}, 0, rest(), []actor{actorNamed("remount"), does("remove", Remove{oldPair, "rule"})}, "I7"},
		{"an unloading that becomes mandatory in silence", faults{stayPolite: true}, 0, rest(), []actor{actorNamed("stop"), stopsByForce()}, "as if its filter could refuse"},
		{"a change that comes with the answer is ignored", faults{staleAnswer: true}, 1, rest(), []actor{actorNamed("mount")}, "stays declined"},
	} {
		_, failure := exploreFrom(&world{faults: tt.trouble}, tt.faults, tt.setup, tt.actors)
		if !strings.Contains(failure, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, failure, tt.want)
			continue
		}
		t.Logf("%s: %s", tt.name, failure)
	}
}
