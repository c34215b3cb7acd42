package replicate

import (
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
)

// nodes is what sessions read the replica's state through: the index, or a batch with its own writes.
type nodes interface {
	Get(key weir.Handle) (replica.Node, bool, error)
	Child(parent weir.Handle, name string) (weir.Handle, bool, error)
}

// names returns the components from the place's root on the replica to a directory, or ok false if the
// replica has no such directory in the tree.
func names(ix nodes, root, dir weir.Handle) (names []string, parked, ok bool, err error) {
	for dir != root {
		if dir == replica.Parking {
			slices.Reverse(names)
			return names, true, true, nil
		}
		n, known, err := ix.Get(dir)
		if err != nil || !known || len(n.Names) == 0 {
			return nil, false, false, err
		}
		names = append(names, n.Names[0].Name)
		dir = n.Names[0].Parent
	}
	slices.Reverse(names)
	return names, false, true, nil
}

// self is the name that stands for the root of a place, which has none in it.
const self = "."

// path is the path of a name relative to SOURCE, for messages and rules.
func (s *session) path(ix nodes, at replica.Name) string {
	path, _, _ := s.where(ix, at)
	return path
}

// where is path, and tells whether the name is in the parking, or its directory not known.
func (s *session) where(ix nodes, at replica.Name) (path string, parked, known bool) {
	list, parked, known, err := names(ix, s.root, at.Parent)
	known = known && err == nil
	path = s.rel
	switch {
	case !known:
		path = join(path, "?")
	case parked:
		path = target.ParkedPath(s.u.place.id) // On the target alone.
	}
	for _, name := range list {
		path = join(path, name)
	}
	if at.Name != self {
		path = join(path, at.Name)
	}
	return path, parked, known
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	if name == "" {
		return dir
	}
	return dir + "/" + name
}
