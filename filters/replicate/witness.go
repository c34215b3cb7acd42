package replicate

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

const (
	sampleSize = 16
	// sampleBlind is sampleSize where only what has not changed since is known again.
	sampleBlind = 256
	// sampleWorth is how many files the replica has to hold for a sample to mean anything. A spool may turn
	// over while weir is away; what the brake lets go without consent needs none here either.
	sampleWorth = 1000
)

// witness is an object that the replica has, by which a volume is known again. Without a handle that is what has its name,
// type, size and time: another tree may have files of the same names.
type witness struct {
	handle weir.Handle
	dir    []string
	name   string // empty if it has none in the tree
	was    replica.Attr
}

// witnesses picks some of what the index knows of a place, and tells whether that is anything at all. Where nothing
// else tells volumes apart they mean something however little the replica holds; if there are none otherwise, too little
// is held to tell.
func (r *Replicator) witnesses(p *place, match policy.Match) (holds bool, list []witness, err error) {
	k := p.keys()
	for _, u := range r.unitsOf(p) {
		count, err := u.ix.Count()
		if err != nil {
			return false, nil, err
		}
		holds = holds || count > 1
		size := sampleSize
		if match == policy.MatchUnknown {
			size = sampleBlind
		} else if count <= sampleWorth && len(list) == 0 {
			continue
		}
		nodes, err := u.ix.Sample(size)
		if err != nil {
			return false, nil, err
		}
		for _, n := range nodes {
			if n.Key != p.root && len(n.Names) > 0 {
				list = append(list, witnessOf(u, k, p.root, n))
			}
		}
	}
	return holds, list, nil
}

func witnessOf(u *unit, k keys, root weir.Handle, n replica.Node) (w witness) {
	w.was = n.Source
	if h, ok := k.handle(n.Key); ok {
		w.handle = h
	} else if path, parked, ok, err := names(u.ix, root, n.Names[0].Parent); err == nil && ok && !parked {
		w.dir, w.name = path, n.Names[0].Name
	}
	return w
}

// isIn reports whether the witness is in the tree of a root.
func (w witness) isIn(root *tree.Dir) bool {
	if w.handle != "" {
		o, err := root.Probe(w.handle)
		return err == nil && o.Type() == w.was.Type()
	}
	if w.name == "" {
		return false
	}
	dir, err := root.Walk(w.dir)
	if err != nil {
		return false
	}
	defer dir.Close()
	o, err := dir.Lookup(w.name)
	return err == nil && o.Type() == w.was.Type() && o.Mtime == w.was.Mtime && (o.IsDir() || o.Size == w.was.Size)
}
