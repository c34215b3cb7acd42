package replica

import (
	"fmt"

	"github.com/weirfs/weir"
)

// View is what the replica holds, and what can be asked about the source without touching the replica.
type View interface {
	// Get returns the node of that key.
	Get(key weir.Handle) (Node, bool, error)
	// Child returns the key of the node that has that name on the replica.
	Child(at Name) (weir.Handle, bool, error)
	// AnyName returns one name of a node, of those that have several apart too.
	AnyName(n Node) (Name, bool, error)
	// Alive reports whether the source's inode still exists under some name on its volume. A volume that
	// cannot tell answers false.
	Alive(key weir.Handle) (bool, error)
}

// Verb is what a Step does.
type Verb uint8

const (
	// Make creates the object at To, over a non-directory that may stand there. For a file it is the staged content
	// that gets the name.
	Make Verb = iota + 1
	// Move renames the object from From to To, over a non-directory that may stand there.
	Move
	// Link gives the object at From the further name To, over a non-directory that may stand there.
	Link
	// Drop removes the name From. With the last name the node goes; a directory must be empty.
	Drop
	// Rekey takes the object at From over as the one of another source inode: the replica is not
	// touched.
	Rekey
)

// Step is one change of the replica's names. Steps are carried out in order; when one fails, those that
// follow it in the same plan are not.
type Step struct {
	Verb Verb
	Key  weir.Handle // the node it is about
	From Name
	To   Name
	Old  weir.Handle // Rekey: the key that the node had
	Over weir.Handle // the node that has the name To when the step begins, and loses it; empty if none has
}

// Sighting is what the source showed at one name.
type Sighting struct {
	At   Name
	Key  weir.Handle
	Attr Attr
	// Former keys belong to a former volume of this place: nodes with such a key are taken over by
	// what has their name now.
	Former func(key weir.Handle) bool
	// Spared directories are not taken over by one that was made anew, but make room for it. Nil spares none.
	Spared func(key weir.Handle) (bool, error)
	// Kept says that what has the name now is not overwritten by what is known under another, but parked, even if the
	// source has lost it: it may not be deleted yet.
	Kept bool
}

// Appear plans the steps after which the replica shows the sighted inode at its name. The inode may be
// new, be known under other names, or be parked; another node may stand in its place. The plan is right
// for the replica that the view shows, whatever order sightings come in: swaps, cycles and moves of a
// parent into its child go through the parking.
func Appear(v View, s Sighting) ([]Step, error) {
	current, taken, err := v.Child(s.At)
	if err != nil || taken && current == s.Key {
		return nil, err
	}
	node, known, err := v.Get(s.Key)
	if err != nil {
		return nil, err
	}
	var steps []Step
	over := weir.Handle("")
	if taken {
		displaced, _, err := v.Get(current)
		if err != nil {
			return nil, err
		}
		if !known {
			if takes, err := takesOver(v, displaced, s); err != nil {
				return nil, err
			} else if takes {
				return []Step{{Verb: Rekey, Key: s.Key, From: s.At, To: s.At, Old: current}}, nil
			}
		}
		if steps, err = displace(v, displaced, s.At, s.Attr.IsDir(), known && s.Kept); err != nil {
			return nil, err
		}
		if len(steps) == 0 || steps[0].Verb == Link {
			over = current
		}
	}
	if !known {
		return append(steps, Step{Verb: Make, Key: s.Key, To: s.At, Over: over}), nil
	}
	from, err := at(v, node, steps)
	if err != nil {
		return nil, err
	}
	if s.Attr.IsDir() {
		freed, err := freeAncestor(v, s.At.Parent, s.Key)
		if err != nil {
			return nil, err
		}
		steps = append(steps, freed...)
	}
	verb := Move
	if !s.Attr.IsDir() && s.Attr.Nlink > 1 && from.Parent != Parking {
		verb = Link
	}
	return append(steps, Step{Verb: verb, Key: s.Key, From: from, To: s.At, Over: over}), nil
}

// at returns a name that the node has after the steps; the parked one if there is one, since a parked
// node must not keep its second name.
func at(v View, n Node, steps []Step) (Name, error) {
	for _, s := range steps {
		if s.Key == n.Key {
			return s.To, nil
		}
	}
	parked := ParkingName(n.Key)
	if key, ok, err := v.Child(parked); err != nil || ok && key == n.Key {
		return parked, err
	}
	name, ok, err := v.AnyName(n)
	if err == nil && !ok {
		err = fmt.Errorf("node %x has no name", string(n.Key))
	}
	return name, err
}

// takesOver reports whether the object of a node that stands in the way becomes that of the sighted
// inode: a directory that was made anew, as a restored backup does, with whatever is in it again or mounted on it, or
// whatever a former volume left here. A directory that lives on under another name keeps what it has.
func takesOver(v View, displaced Node, s Sighting) (bool, error) {
	if displaced.Source.Type() != s.Attr.Type() {
		return false, nil
	}
	if s.Former != nil && s.Former(displaced.Key) && (s.Attr.IsDir() || s.Attr.IsFile() && displaced.NameCount() == 1) {
		return true, nil // What a link leads to cannot be changed in place, and other names are not those of what comes.
	}
	if !s.Attr.IsDir() {
		return false, nil
	}
	if s.Spared != nil {
		if spared, err := s.Spared(displaced.Key); err != nil || spared {
			return false, err
		}
	}
	alive, err := v.Alive(displaced.Key)
	return !alive, err
}

// displace frees a name for another node. A node that lives on elsewhere, or that is a directory, is
// parked; a file that has other names, or is dead and not to be kept, is simply overwritten by what comes.
func displace(v View, n Node, from Name, byDir, keep bool) ([]Step, error) {
	if n.NameCount() > 1 {
		if byDir {
			return []Step{{Verb: Drop, Key: n.Key, From: from}}, nil
		}
		return nil, nil
	}
	park := n.Source.IsDir() || byDir || keep
	if !park {
		alive, err := v.Alive(n.Key)
		if err != nil {
			return nil, err
		}
		park = alive
	}
	if !park {
		return nil, nil
	}
	if n.Source.IsDir() || byDir {
		return []Step{{Verb: Move, Key: n.Key, From: from, To: ParkingName(n.Key)}}, nil
	}
	// By a second name, so that the visible one is overwritten in one step and never missing.
	return []Step{{Verb: Link, Key: n.Key, From: from, To: ParkingName(n.Key)}}, nil
}

// freeAncestor parks the directory that keeps key from moving below parent, if parent is inside key's own
// tree on the replica. On the source there is no such cycle, so the directory next below key on that path
// has moved out and will be sighted elsewhere.
func freeAncestor(v View, parent, key weir.Handle) ([]Step, error) {
	below := weir.Handle("")
	for at := parent; at != Parking; {
		if at == key {
			n, _, err := v.Get(below)
			if err != nil || below == "" {
				return nil, err
			}
			return []Step{{Verb: Move, Key: below, From: n.Names[0], To: ParkingName(below)}}, nil
		}
		n, ok, err := v.Get(at)
		if err != nil {
			return nil, err
		}
		if !ok || len(n.Names) == 0 {
			return nil, nil
		}
		below, at = at, n.Names[0].Parent
	}
	return nil, nil
}

// Vanish plans the steps after which the name is gone from the replica; that it is gone from the source
// must have been proved. A node that lives on, or a directory, is parked: the plan that finds its new
// name takes it from there.
func Vanish(v View, name Name) ([]Step, error) {
	key, taken, err := v.Child(name)
	if err != nil || !taken {
		return nil, err
	}
	n, ok, err := v.Get(key)
	if err != nil || !ok {
		return nil, err
	}
	if n.NameCount() > 1 {
		return []Step{{Verb: Drop, Key: key, From: name}}, nil
	}
	park := n.Source.IsDir()
	if !park {
		if park, err = v.Alive(key); err != nil {
			return nil, err
		}
	}
	if park {
		return []Step{{Verb: Move, Key: key, From: name, To: ParkingName(key)}}, nil
	}
	return []Step{{Verb: Drop, Key: key, From: name}}, nil
}
