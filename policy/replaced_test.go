package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

func TestParseReplaced(t *testing.T) {
	for text, want := range map[string]Replaced{"": ReplacedHold, "hold": ReplacedHold, "merge": ReplacedMerge, "mirror": ReplacedMirror} {
		if got, err := ParseReplaced(text); got != want || err != nil {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	if _, err := ParseReplaced("Mirror"); weir.KindOf(err) != weir.KindRefused {
		t.Error(err)
	}
}

// places enumerates every combination of what can be known.
func places(visit func(Place)) {
	booleans := []bool{false, true}
	for _, known := range booleans {
		for _, found := range booleans {
			for _, holds := range booleans {
				for _, match := range []Match{MatchUnknown, MatchSame, MatchOther, MatchDirectory} {
					for _, sample := range []Sample{SampleUntested, SampleResolved, SampleLost} {
						for candidates := range 4 {
							visit(Place{known, found, match, holds, sample, candidates})
						}
					}
				}
			}
		}
	}
}

// TestDecideEverything states for all combinations the rule in one line: absent if
// nothing is there, follow if nothing is at stake or the volume is proved, otherwise the user's word.
func TestDecideEverything(t *testing.T) {
	users := map[Replaced]Action{ReplacedHold: ActionHold, ReplacedMerge: ActionMerge, ReplacedMirror: ActionMirror}
	count := 0
	places(func(p Place) {
		proved := p.Sample == SampleResolved && (!p.Known || p.Match != MatchOther && p.Match != MatchDirectory && p.Candidates <= 1)
		for user, otherwise := range users {
			want := otherwise
			switch {
			case !p.Found:
				want = ActionAbsent
			case !p.Holds || proved:
				want = ActionFollow
			}
			count++
			got := user.Decide(p)
			if got.Action != want || got.Reason == "" {
				t.Errorf("%v %+v: %v, want %v", user, p, got, want)
			}
		}
	})
	if count != 2*2*2*4*3*4*3 {
		t.Errorf("%d combinations", count)
	}
}

// TestDecideNeverDeletes: without the user's word, an action that may delete is taken only where nothing
// can be lost or the files that the index knows were seen on the volume.
func TestDecideNeverDeletes(t *testing.T) {
	places(func(p Place) {
		for _, user := range []Replaced{ReplacedHold, ReplacedMerge} {
			d := user.Decide(p)
			if d.Action == ActionMirror || d.Action == ActionFollow && p.Holds && p.Sample != SampleResolved {
				t.Errorf("%v %+v: %v", user, p, d)
			}
		}
	})
}

func TestReasons(t *testing.T) {
	good := Place{Known: true, Found: true, Match: MatchSame, Holds: true, Sample: SampleResolved, Candidates: 1}
	for _, c := range []struct {
		change func(*Place)
		want   string
	}{
		{func(*Place) {}, "follow: it is the volume that was replicated"},
		{func(p *Place) { p.Match = MatchUnknown }, "follow: it is the volume that was replicated"},
		{func(p *Place) { p.Found = false }, "absent: the volume that was replicated is not here"},
		{func(p *Place) { p.Found, p.Known = false, false }, "absent: no volume is here"},
		{func(p *Place) { p.Holds = false }, "follow: nothing was replicated from here before"},
		{func(p *Place) { p.Match = MatchOther }, "hold: a different volume is here"},
		{func(p *Place) { p.Match = MatchDirectory }, "hold: another directory of the same volume is here"},
		{func(p *Place) { p.Candidates = 2 }, "hold: 2 mounted volumes have the identity of the one that was replicated"},
		{func(p *Place) { p.Sample = SampleLost }, "hold: the volume has the identity of the one that was replicated, but none of its files"},
		{func(p *Place) { p.Sample = SampleUntested }, "hold: the files that were replicated could not be looked up"},
		{func(p *Place) { p.Known = false }, "follow: it is the volume that was replicated"},
		{func(p *Place) { p.Known, p.Sample = false, SampleLost }, "hold: the replica holds files of a volume that is not known"},
	} {
		p := good
		c.change(&p)
		d := ReplacedHold.Decide(p)
		if got := fmt.Sprintf("%s: %s", d.Action, d.Reason); got != c.want {
			t.Errorf("%+v: %s, want %s", p, got, c.want)
		}
	}
}

func TestIdentify(t *testing.T) {
	birth := time.Unix(1700000000, 5)
	full := weir.Identity{FSType: "ext4", UUID: "u", FSID: "1", RootHandle: "h", RootBirth: birth}
	change := func(f func(*weir.Identity)) weir.Identity {
		other := full
		f(&other)
		return other
	}
	for _, c := range []struct {
		name string
		a, b weir.Identity
		want Match
	}{
		{"the same", full, change(func(i *weir.Identity) { i.RootBirth = birth.UTC() }), MatchSame},
		{"on another device", full, change(func(i *weir.Identity) { i.FSID = "2" }), MatchSame},
		{"made again with the same UUID", full, change(func(i *weir.Identity) { i.RootBirth = birth.Add(1) }), MatchOther},
		{"another UUID", full, change(func(i *weir.Identity) { i.UUID = "v" }), MatchOther},
		{"another root", full, change(func(i *weir.Identity) { i.RootHandle = "g" }), MatchOther},
		{"another type", full, change(func(i *weir.Identity) { i.FSType = "ext3" }), MatchOther},
		{"without UUID", change(func(i *weir.Identity) { i.UUID = "" }), change(func(i *weir.Identity) { i.UUID, i.FSID = "", "2" }), MatchOther},
		{"the same without UUID", change(func(i *weir.Identity) { i.UUID = "" }), change(func(i *weir.Identity) { i.UUID = "" }), MatchSame},
		{"nothing known", weir.Identity{FSType: "fuse"}, weir.Identity{FSType: "fuse"}, MatchUnknown},
		{"nothing known, another type", weir.Identity{FSType: "fuse"}, weir.Identity{FSType: "fuse.x"}, MatchOther},
	} {
		if got := Identify(c.a, c.b); got != c.want || Identify(c.b, c.a) != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
