package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// errDrift says that the replica is not what the index says; the index has been corrected and the name has
// to be looked at again.
var errDrift = errors.New("somebody changed the replica")

// maxDrifts is how often a name is looked at again at once. Each time the index has lost a name, and an object may have many.
const maxDrifts = 100

// edited records that somebody has changed an object of the replica, and has it put right.
func (b *batch) edited(node replica.Node, at replica.Name, now replica.Attr) error {
	b.u.drifted(b.s.path(b.ix, at))
	unlike(&node, now)
	if at.Parent != replica.Parking {
		b.u.add(replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpModify})
	}
	return b.put(node, at)
}

// stands reports whether a name on the target is the object that the index says.
func (u *unit) stands(dir *tree.Dir, at replica.Name, node replica.Node) (bool, error) {
	if a, err := dir.Stat(at.Name); err == nil && isNumbered(a, node) {
		return true, nil
	}
	o, err := dir.Lookup(at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && isOwn(u.target, o, node), err
}

// isNumbered reports whether attributes of an object on the target have the number and the type of a node's own.
func isNumbered(a replica.Attr, node replica.Node) bool {
	return a.Ino == node.Target.Ino && a.Type() == node.Source.Type()
}

// isOwn reports whether an object on a target is the one that the index remembers as a node's. One of another type than
// the source's is not, whatever was recorded, nor is one that was born since and has only got the number.
func isOwn(t *target.Target, o tree.Object, node replica.Node) bool {
	return o.Type() == node.Source.Type() && t.SameInode(o, node.Target) && !t.BornSince(o, node.Target)
}

// keepsName makes sure that a name that stays is the object that the index says. If not, the index forgets the name, and
// the error is errDrift; what stands there is set aside when the name is given again.
func (b *batch) keepsName(dir *tree.Dir, at replica.Name, node replica.Node) error {
	if stands, err := b.u.stands(dir, at, node); err != nil || stands {
		return err
	}
	return b.lose(node, at)
}

// expect makes sure that a name that is to be taken away is the object that the index says. If not, what stands there is
// set aside, the index forgets the name, and the error is errDrift. A version that an interrupted batch of this replica
// put there stays for readers until what comes is renamed over it.
func (b *batch) expect(dir *tree.Dir, at replica.Name, node replica.Node) error {
	if stands, err := b.u.stands(dir, at, node); err != nil || stands {
		return err
	}
	if !b.u.intended[at] {
		if err := b.setAside(dir, at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return b.lose(node, at)
}

// lose makes the index forget a name that is another object on the target, and has it looked at. The error is errDrift.
func (b *batch) lose(node replica.Node, at replica.Name) error {
	if err := b.forgetName(node.Key, at); err != nil {
		return err
	}
	if at.Parent != replica.Parking {
		b.u.add(replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpCreate})
	}
	return errDrift
}

// forgetName takes a name from a node in the index; with the last one the node and all below it go.
func (b *batch) forgetName(key weir.Handle, at replica.Name) error {
	b.ix.Unlink(key, at)
	node, known, err := b.ix.Get(key)
	if err != nil || !known || node.NameCount() > 0 {
		return err
	}
	return b.forgetTree(key)
}

// forgetTree removes a node without names, and what the index has below it.
func (b *batch) forgetTree(key weir.Handle) error {
	stack := []weir.Handle{key}
	for len(stack) > 0 {
		dir := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		var names []replica.Name
		var keys []weir.Handle
		err := b.ix.Children(dir, "", func(name string, child weir.Handle) (bool, error) {
			names, keys = append(names, replica.Name{Parent: dir, Name: name}), append(keys, child)
			return true, nil
		})
		if err != nil {
			return err
		}
		for i, child := range keys {
			b.ix.Unlink(child, names[i])
			if n, known, err := b.ix.Get(child); err != nil {
				return err
			} else if known && n.NameCount() == 0 {
				stack = append(stack, child)
			}
		}
		b.ix.Delete(dir)
		b.s.dirs.drop(dir) // One that is made anew is another.
		b.u.resolvedIn(dir)
		b.u.rested(dir)
	}
	return b.ix.Err()
}

// setAside moves what is not weir's out of the way, under its own name, and deletes nothing.
func (b *batch) setAside(dir *tree.Dir, at replica.Name) error {
	if b.u.intended[at] {
		return tree.RemoveAll(dir, at.Name) // An interrupted batch of this replica put it there.
	}
	path := b.s.path(b.ix, at)
	now, err := b.s.dst.SetAside(b.u.r.stamp, dir, at.Name, path)
	if err != nil {
		return err
	}
	b.touch(at.Parent)
	b.u.setAside(path, now)
	return nil
}
