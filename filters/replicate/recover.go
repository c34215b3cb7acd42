package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// The record of a batch comes after its steps. What an interrupted batch has moved is therefore not where the index says,
// and what the index knows of a directory and all below it would be lost with it, and be foreign where it is now. So an
// audit begins by asking, for what was about to get a name, whether it has it.

// recovery finds what interrupted batches have moved.
type recovery struct {
	u     *unit
	s     *session
	ix    *index.Batch
	homes map[weir.Handle]bool // directories that are where the index says
	bare  map[weir.Handle]bool // nodes whose last name another one has
}

// relocate makes the index say where the intents' objects are.
func (u *unit) relocate(s *session, intents []intent) error {
	parked, err := u.parkedUnknown(s)
	if err != nil {
		return err
	}
	s.dirs.forget()
	r := &recovery{u: u, s: s, ix: u.ix.NewBatch(), bare: make(map[weir.Handle]bool)}
	defer r.ix.Close()
	all := append(parked, intents...)
	for found := true; found; {
		found = false
		r.homes = make(map[weir.Handle]bool)
		for n := len(all) - 1; n >= 0; n-- { // The latest first: what it has moved is not where earlier ones did.
			if err := s.err(); err != nil {
				return err
			}
			s.dirs.trim()
			some, err := r.look(all[n])
			if err != nil {
				return err
			}
			found = found || some
		}
	}
	return r.commit()
}

// parkedUnknown finds the nodes of what is parked and not known to be. The name in the parking does not tell the key.
func (u *unit) parkedUnknown(s *session) (list []intent, err error) {
	unknown := make(map[string]bool)
	err = s.dst.Parked.List(func(name string, _ uint32) error {
		_, known, err := u.ix.Child(replica.Parking, name)
		if !known {
			unknown[name] = true
		}
		return err
	})
	if err != nil || len(unknown) == 0 {
		return nil, err
	}
	err = u.ix.Nodes("", func(n replica.Node) (bool, error) {
		if at := replica.ParkingName(n.Key); unknown[at.Name] {
			list = append(list, intent{at, n.Key})
		}
		return true, s.err()
	})
	return list, err
}

// look gives a node the name that it was about to get, if its object has it. It reports whether the index says more then.
func (r *recovery) look(i intent) (found bool, err error) {
	dir, err := r.dir(i.Parent)
	if err != nil || dir == nil {
		return false, err
	}
	o, err := dir.Lookup(i.Name.Name)
	if err != nil || o.Handle == "" {
		return false, ignoreAbsent(err)
	}
	holder, taken, err := r.ix.Child(i.Parent, i.Name.Name)
	if err != nil || taken && holder == i.key {
		return false, err
	}
	if taken {
		if n, known, err := r.ix.Get(holder); err != nil || known && r.isObject(o, n) {
			return false, err
		}
	}
	node, known, err := r.ix.Get(i.key)
	if err != nil {
		return false, err
	}
	switch {
	case known && r.isObject(o, node):
	case !known && o.IsDir() && r.mayBeDir(i.key):
		// It was made, and what was moved into it is in it.
		node = replica.Node{Key: i.key, Source: replica.Attr{Mode: replica.TypeDir}, Target: o.Attr}
	default:
		return false, nil
	}
	return true, r.put(node, i.Name, o)
}

// put records a node under the name at which its object was found. Who had that has lost it.
func (r *recovery) put(node replica.Node, at replica.Name, o tree.Object) error {
	holder, taken, err := r.ix.Child(at.Parent, at.Name)
	if err != nil {
		return err
	}
	if unchanged(o.Attr, node.Target) {
		node.Target = o.Attr // Its ctime has moved with the name.
	}
	if node.Names, err = r.standing(node, o); err != nil {
		return err
	}
	if node.Flags &^= replica.Uncounted; at.Parent == replica.Parking {
		node.Flags |= replica.Uncounted // What the brake has said was not recorded.
	}
	node.Gen = r.u.gen // It is in doubt.
	r.ix.Put(node)
	r.ix.Link(node.Key, at)
	if delete(r.bare, node.Key); taken {
		n, known, err := r.ix.Get(holder)
		if err != nil {
			return err
		}
		r.bare[holder] = known && n.NameCount() == 0
	}
	return r.ix.Err()
}

// standing returns the names of a node that its object has yet, or may have: those of a directory that is not where the
// index says are not known.
func (r *recovery) standing(node replica.Node, o tree.Object) (list []replica.Name, err error) {
	if o.IsDir() {
		return nil, nil // It has the one at which it was found.
	}
	for _, at := range node.Names {
		dir, err := r.dir(at.Parent)
		if err != nil {
			return nil, err
		}
		if dir != nil {
			now, err := dir.Lookup(at.Name)
			if ignoreAbsent(err) != nil {
				return nil, err
			}
			if err != nil || now.Ino != o.Ino {
				continue
			}
		}
		list = append(list, at)
	}
	return list, nil
}

// dir opens a directory, unless it is not known to be where the index says, or cannot be reached below a mount: what was
// to be done in it is owed until that leaves.
func (r *recovery) dir(key weir.Handle) (*tree.Dir, error) {
	if key != r.s.root && key != replica.Parking && !r.homes[key] {
		node, known, err := r.ix.Get(key)
		if err != nil || !known || len(node.Names) == 0 {
			return nil, err
		}
		at := node.Names[0]
		above, err := r.dir(at.Parent)
		if err != nil || above == nil {
			return nil, err
		}
		if o, err := above.Lookup(at.Name); err != nil || !r.isObject(o, node) {
			return nil, ignoreAbsent(err)
		}
		r.homes[key] = true
	}
	dir, err := r.s.targetDir(r.ix, key)
	if errors.Is(err, target.ErrCovered) {
		r.u.passedOver()
		return nil, nil
	}
	return dir, err
}

// mayBeDir reports whether the inode of a key is not known to be anything but a directory.
func (r *recovery) mayBeDir(key weir.Handle) bool {
	h, ok := r.s.keys.handle(key)
	if !ok {
		return false
	}
	o, err := r.s.src.Probe(h)
	return err != nil || o.IsDir()
}

// commit records what was found. What has no name left is not on the replica any more, or foreign.
func (r *recovery) commit() error {
	if !r.ix.Changed() {
		return nil
	}
	b := r.u.newBatch(r.s, walkMode{})
	b.ix = r.ix
	for key, is := range r.bare {
		if !is {
			continue
		}
		if err := b.forgetTree(key); err != nil {
			return err
		}
	}
	r.s.dirs.forget()
	return r.ix.Commit(false)
}

// isObject reports whether an object is a node's own. Without a handle its number proves nothing.
func (r *recovery) isObject(o tree.Object, n replica.Node) bool {
	return o.Handle != "" && isNumbered(o.Attr, n) && !r.u.target.BornSince(o, n.Target)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
