package policy

import (
	"fmt"

	"github.com/weirfs/weir"
)

// Replaced is what the user has said about another volume that stands where one was replicated. The zero
// value is the default, hold.
type Replaced uint8

const (
	// ReplacedHold changes nothing there.
	ReplacedHold Replaced = iota
	// ReplacedMerge copies what is there and deletes nothing.
	ReplacedMerge
	// ReplacedMirror takes what is there as the truth.
	ReplacedMirror
)

// ParseReplaced reads "hold", "merge", "mirror", or "" for the default. An error is a weir.Error of
// KindRefused.
func ParseReplaced(text string) (Replaced, error) {
	for _, r := range []Replaced{ReplacedHold, ReplacedMerge, ReplacedMirror} {
		if text == r.String() {
			return r, nil
		}
	}
	if text == "" {
		return ReplacedHold, nil
	}
	return 0, &weir.Error{
		Op: "parse what a replaced volume means", Kind: weir.KindRefused, Path: text,
		Err:  fmt.Errorf("not known"),
		Hint: `write "hold" (change nothing), "merge" (copy, delete nothing) or "mirror" (take it as the truth)`,
	}
}

// String returns what ParseReplaced reads.
func (r Replaced) String() string {
	switch r {
	case ReplacedMerge:
		return "merge"
	case ReplacedMirror:
		return "mirror"
	default:
		return "hold"
	}
}

// Sample is what came of looking up some of the handles that the index knows on the volume that was found.
type Sample uint8

const (
	// SampleUntested: nothing was looked up, or the lookups failed for another reason than absence.
	SampleUntested Sample = iota
	// SampleResolved: handles resolved to the files that they stood for.
	SampleResolved
	// SampleLost: none did.
	SampleLost
)

// Place is what is known of one place of the source.
type Place struct {
	Known      bool   // whether a volume was replicated from here before
	Found      bool   // whether a volume is here now
	Match      Match  // of the known identity and the one found, if there are both
	Holds      bool   // whether the replica holds anything of this place
	Sample     Sample // of what the index knows of this place
	Candidates int    // live volumes that match the known identity, the one found among them
}

// Action is what to do with a place.
type Action uint8

const (
	// ActionHold: change nothing there until the user says what it means.
	ActionHold Action = iota
	// ActionAbsent: change nothing there until a volume appears.
	ActionAbsent
	// ActionFollow: make the replica equal.
	ActionFollow
	// ActionMerge: copy what is there, delete nothing.
	ActionMerge
	// ActionMirror: take what is there as the truth, as the user has said.
	ActionMirror
)

// String returns "hold", "absent", "follow", "merge" or "mirror".
func (a Action) String() string {
	return [...]string{"hold", "absent", "follow", "merge", "mirror"}[a]
}

// Decision is an action and its reason in words, which complete "this place is held, because ...".
type Decision struct {
	Action Action
	Reason string
}

// Decide says what to do with a place. Nothing is at stake where the replica holds nothing, so such a place
// is followed whatever stands there. Otherwise a volume is followed if it is proved to be the one that was
// replicated, and what the user has said decides about any other.
func (r Replaced) Decide(p Place) Decision {
	if !p.Found {
		return Decision{ActionAbsent, absence(p)}
	}
	if !p.Holds {
		return Decision{ActionFollow, "nothing was replicated from here before"}
	}
	doubt := p.doubt()
	if doubt == "" {
		return Decision{ActionFollow, "it is the volume that was replicated"}
	}
	switch r {
	case ReplacedMerge:
		return Decision{ActionMerge, doubt}
	case ReplacedMirror:
		return Decision{ActionMirror, doubt}
	default:
		return Decision{ActionHold, doubt}
	}
}

func absence(p Place) string {
	if p.Known {
		return "the volume that was replicated is not here"
	}
	return "no volume is here"
}

// doubt says why the volume found is not proved to be the one that was replicated, or nothing.
func (p Place) doubt() string {
	switch {
	case !p.Known:
		return p.doubtStranger()
	case p.Match == MatchOther:
		return "a different volume is here"
	case p.Match == MatchDirectory:
		return "another directory of the same volume is here"
	case p.Candidates > 1:
		return fmt.Sprintf("%d mounted volumes have the identity of the one that was replicated", p.Candidates)
	case p.Sample == SampleLost:
		return "the volume has the identity of the one that was replicated, but none of its files"
	case p.Sample == SampleUntested:
		return "the files that were replicated could not be looked up"
	default:
		return ""
	}
}

// doubtStranger is doubt where the replica holds files, and it is not known of which volume.
func (p Place) doubtStranger() string {
	if p.Sample == SampleResolved {
		return ""
	}
	return "the replica holds files of a volume that is not known"
}
