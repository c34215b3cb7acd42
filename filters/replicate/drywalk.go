package replicate

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// dryWalk compares one place with the index and the target, and writes nothing.
type dryWalk struct {
	*dryTarget
	u      *unit
	s      *session
	mode   walkMode
	onto   *tree.Dir              // the place's root on the target; nil if there is none
	parked *tree.Dir              // what has left it for now; nil if there is none
	found  map[weir.Handle]bool   // known nodes that were met under another name
	linked map[weir.Handle]string // files with several names that the replica gets, and their first
	gone   []vanished
}

// dryDir is one directory to compare.
type dryDir struct {
	path []string    // from the place's root, on the source
	key  weir.Handle // what the index calls it; "" if it does not know it
	onto spot        // on the target
	has  bool        // whether the target has it there
}

func (w *dryWalk) run() error {
	if w.onto = w.top(w.u, w.s.rel); w.onto != nil {
		defer w.onto.Close()
	}
	if w.parked = w.parking(w.u.place.id); w.parked != nil {
		defer w.parked.Close()
	}
	key := w.s.root
	if former, err := w.u.ix.Meta(metaRoot); err != nil {
		return err
	} else if len(former) > 0 {
		key = weir.Handle(former)
	}
	if err := w.root(key); err != nil {
		return err
	}
	stack := []dryDir{{key: key, has: w.onto != nil}}
	for len(stack) > 0 {
		if err := w.s.ctx.Err(); err != nil {
			return err
		}
		d := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		subs, err := w.dir(d)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && len(d.path) > 0 {
				continue
			}
			w.say(Change{Act: ActFail, Path: w.path(d, ""), Reason: err.Error()})
			continue
		}
		for i := len(subs) - 1; i >= 0; i-- {
			stack = append(stack, subs[i])
		}
	}
	return w.removals()
}

// root tells whether the metadata of the place's own directory is set.
func (w *dryWalk) root(key weir.Handle) error {
	node, known, err := w.u.ix.Get(key)
	if err != nil || !known || w.onto == nil {
		return err
	}
	self, err := w.s.src.Stat("")
	if err != nil {
		return err
	}
	if on, err := w.onto.Stat(""); err != nil || !dirStands(node, self, on) {
		w.say(Change{Act: ActMetadata, Path: w.s.rel})
	}
	return nil
}

// path is that of a name in a directory, relative to SOURCE.
func (w *dryWalk) path(d dryDir, name string) string {
	return join(join(w.s.rel, strings.Join(d.path, "/")), name)
}

// dryNames is a directory that is being compared.
type dryNames struct {
	dryDir
	src, dst *tree.Dir
	seen     map[string]bool
	folded   map[string]string // lower case to the first such name, on a target that does not tell them apart
	subs     []dryDir
}

func (w *dryWalk) dir(d dryDir) ([]dryDir, error) {
	src, err := w.s.src.Walk(d.path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	n := &dryNames{dryDir: d, src: src, seen: make(map[string]bool), folded: make(map[string]string)}
	if d.has {
		if n.dst = w.open(d.onto); n.dst != nil {
			defer n.dst.Close()
		}
	}
	if err := w.fold(n); err != nil {
		return nil, err
	}
	if err := src.List(func(name string, _ uint32) error { return w.name(n, name) }); err != nil {
		return nil, err
	}
	if err := w.absences(n); err != nil {
		return nil, err
	}
	return n.subs, w.strays(n)
}

// spot leads to a directory on the target, from the place's root or from the parking.
type spot struct {
	names  []string
	parked bool
}

// open opens a directory of the target; nil if there is none.
func (w *dryWalk) open(to spot) *tree.Dir {
	top := w.onto
	if to.parked {
		top = w.parked
	}
	if top == nil {
		return nil
	}
	dir, err := top.Walk(to.names)
	if err != nil {
		return nil
	}
	return dir
}

// fold notes the names that the replica has, where case does not tell names apart.
func (w *dryWalk) fold(n *dryNames) error {
	if !w.tried || w.limits.CaseSensitive || n.key == "" {
		return nil
	}
	return w.u.ix.Children(n.key, "", func(name string, _ weir.Handle) (bool, error) {
		n.folded[strings.ToLower(name)] = name
		return true, nil
	})
}

// name tells about one name of the source.
func (w *dryWalk) name(n *dryNames, name string) error {
	n.seen[name] = true
	key := n.key
	if len(n.path) == 0 {
		key = w.s.root // Also where a former volume's root is known under another key.
	}
	at := replica.Name{Parent: key, Name: name}
	if w.s.outside(at) {
		return nil
	}
	path := w.path(n.dryDir, name)
	o, err := n.src.Lookup(name)
	if errors.Is(err, fs.ErrNotExist) {
		n.seen[name] = false
		return nil
	}
	if err != nil {
		w.say(Change{Act: ActFail, Path: path, Reason: err.Error()})
		return nil
	}
	if why := w.r.leftOut(path, o.Attr); why != "" {
		w.say(Change{Act: ActLeave, Path: path, Reason: why})
		return nil
	}
	if w.keeps(n.dryDir, name) {
		w.say(Change{Act: ActCannot, Path: path, Reason: target.Kept.Error()})
		return nil
	}
	if why := w.cannot(o.Attr, name); why != "" {
		w.say(Change{Act: ActCannot, Path: path, Reason: why})
		return nil
	}
	if w.tried && !w.limits.CaseSensitive {
		if other, taken := n.folded[strings.ToLower(name)]; taken && other != name && w.stays(n, other) {
			w.say(Change{Act: ActCannot, Path: path, Reason: collision{other: other}.Error()})
			return nil
		}
		n.folded[strings.ToLower(name)] = name
	}
	return w.object(n, at, path, o)
}

// keeps reports whether the target has something of its own under a name.
func (w *dryWalk) keeps(d dryDir, name string) bool {
	return len(d.path) == 0 && w.s.rel == "" && w.h != nil && w.h.Keeps(name)
}

// stays reports whether the source has a name still.
func (w *dryWalk) stays(n *dryNames, name string) bool {
	_, err := n.src.Lookup(name)
	return !errors.Is(err, fs.ErrNotExist)
}
