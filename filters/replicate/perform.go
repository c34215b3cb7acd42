package replicate

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

var (
	errBrake  = errors.New("held by the brake: more is being deleted or emptied than --max-delete allows")
	errPinned = errors.New("kept: it holds the replica of a volume that is not mounted now; mount that again, or say --forget with its place")
	errLeft   = errors.New("kept: it has left the source with the mount point of a volume that is not mounted now, and is the replica of both; move it back, or stop weir and delete it from the target")
)

// perform carries out one step on the target and in the index.
func (b *batch) perform(step replica.Step, f *find) error {
	switch step.Verb {
	case replica.Make:
		return b.make(step, f)
	case replica.Move, replica.Link:
		if step.To.Parent == replica.Parking {
			return b.park(step, !f.absent)
		}
		return b.move(step)
	case replica.Drop:
		return b.drop(step)
	case replica.Rekey:
		return b.rekey(step, f)
	}
	return fmt.Errorf("unknown step %d", step.Verb)
}

// place gives an object its name. The node over may be overwritten, anything else is set aside in the same moment: a
// reader finds the one or the other.
func (b *batch) place(from *tree.Dir, old string, to *tree.Dir, at replica.Name, over weir.Handle) error {
	if over != "" {
		node, _, err := b.ix.Get(over)
		if err != nil {
			return err
		}
		if stands, err := b.u.stands(to, at, node); err != nil {
			return err
		} else if stands {
			return tree.Rename(from, old, to, at.Name, 0)
		}
	}
	err := tree.RenameFree(from, old, to, at.Name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if b.u.intended[at] && tree.Rename(from, old, to, at.Name, 0) == nil {
		return nil // Over what an interrupted batch has put there.
	}
	if !b.u.intended[at] {
		path := b.s.path(b.ix, at)
		if now, err := b.s.dst.SwapAside(b.u.r.stamp, to, at.Name, path, from, old); err == nil {
			b.u.setAside(path, now)
			return nil
		} // Not every file system exchanges names.
	}
	if err := b.setAside(to, at); err != nil {
		return err
	}
	return tree.RenameFree(from, old, to, at.Name)
}

// took makes the index forget who had the name that a step has given to another node.
func (b *batch) took(step replica.Step) error {
	if step.Over == "" {
		return nil
	}
	if err := b.forgetName(step.Over, step.To); err != nil {
		return err
	}
	return b.lessLinked(step.Over)
}

// lessLinked records that an object has another ctime, since it has lost a name and has others. If none of these is its
// own any more, that is found when they are looked at.
func (b *batch) lessLinked(key weir.Handle) error {
	node, known, err := b.ix.Get(key)
	if err != nil || !known {
		return err
	}
	return unlessDrifted(b.recordNames(node))
}

// move renames or links an object on the target.
func (b *batch) move(step replica.Step) error {
	node, known, err := b.ix.Get(step.Key)
	if err != nil || !known {
		return err
	}
	if err := b.withoutLinks(&step); err != nil {
		return err
	}
	from, err := b.s.targetDir(b.ix, step.From.Parent)
	if err != nil {
		return err
	}
	to, err := b.s.targetDir(b.ix, step.To.Parent)
	if err != nil {
		return err
	}
	sure := b.expect
	if step.Verb == replica.Link {
		sure = b.keepsName // The old name is not to go.
	}
	if err := sure(from, step.From, node); err != nil {
		return err
	}
	if err := b.free(to, step); err != nil {
		return err
	}
	if step.Verb == replica.Link {
		err = b.link(from, step, to)
	} else if b.u.sameButCase(step) {
		err = b.recase(from, step)
	} else {
		err = b.place(from, step.From.Name, to, step.To, step.Over)
	}
	if err != nil {
		return err
	}
	if err := b.took(step); err != nil {
		return err
	}
	b.ix.Link(step.Key, step.To)
	if step.Verb == replica.Move {
		b.ix.Unlink(step.Key, step.From)
		b.touch(step.From.Parent)
	}
	b.touch(step.To.Parent)
	b.parked = b.parked || step.To.Parent == replica.Parking
	nests := node.Source.IsDir() && b.u.r.anyPlaceIn(b.u.place)
	if nests {
		b.u.r.mountsChanged() // A mount in it has moved along, of which no event of mounts tells.
	}
	b.movedDir = b.movedDir || node.Source.IsDir()
	if node.Source.IsDir() && len(b.u.intended) > 0 {
		b.u.wandered[step.Key] = true // An audit that goes on may have passed by where it is now.
	}
	if node.Source.IsDir() && step.To.Parent != replica.Parking && (b.u.r.options.Rules.NeedsPath() || b.u.passes(step.Key)) {
		b.grown = append(b.grown, step.Key) // Nobody may have looked into it, or other rules may hold there now.
	}
	if step.From.Parent == replica.Parking {
		b.pinned = b.pinned || nests // They go on where it is now.
		b.u.resolved(step.From)
		if err := b.reclaim(node); err != nil {
			return err
		}
	} else if step.Verb == replica.Move {
		b.u.foundAgain(step.From)
	}
	node, _, err = b.ix.Get(step.Key)
	if err != nil {
		return err
	}
	if step.From.Parent == replica.Parking {
		node.Flags &^= replica.Uncounted
	}
	return b.recordNames(node)
}

// link makes a further name, over what may stand there.
func (b *batch) link(from *tree.Dir, step replica.Step, to *tree.Dir) error {
	old, at := step.From, step.To
	if step.Over == "" {
		err := tree.Link(from, old.Name, to, at.Name)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if linked, err := b.linked(from, old.Name, to, at.Name); err != nil || linked {
			return err
		}
	}
	temp := b.u.tempName()
	if err := tree.Link(from, old.Name, b.s.dst.Tmp, temp); err != nil {
		return err
	}
	if err := b.place(b.s.dst.Tmp, temp, to, at, step.Over); err != nil {
		_ = b.s.dst.Tmp.Unlink(temp)
		return err
	}
	// Where both were the same inode already, renameat2 has done nothing and left the temporary.
	if err := b.s.dst.Tmp.Unlink(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// linked reports whether two names are of one inode: the index was lost, and the replica has the link already.
func (b *batch) linked(from *tree.Dir, old string, to *tree.Dir, name string) (bool, error) {
	first, err := from.Lookup(old)
	if err != nil {
		return false, err
	}
	second, err := to.Lookup(name)
	if err != nil {
		return false, err
	}
	return first.Ino == second.Ino && first.Type() == second.Type() && first.Handle != "" && first.Handle == second.Handle, nil
}

// drop removes a name.
func (b *batch) drop(step replica.Step) error {
	node, known, err := b.ix.Get(step.Key)
	if err != nil || !known {
		return err
	}
	if node.NameCount() == 1 && step.From.Parent != replica.Parking && !b.u.mayRemove(1) {
		return errBrake
	}
	dir, err := b.s.targetDir(b.ix, step.From.Parent)
	if err != nil {
		return err
	}
	if err := b.expect(dir, step.From, node); err != nil {
		if errors.Is(err, errDrift) {
			return nil // The index has forgotten it, and that was the aim.
		}
		return err
	}
	if err := dir.Unlink(step.From.Name); err != nil {
		return err
	}
	b.touch(step.From.Parent)
	if err := b.forgetName(step.Key, step.From); err != nil {
		return err
	}
	if node, known, err = b.ix.Get(step.Key); err != nil || !known {
		return err
	}
	return b.recordNames(node)
}

// vanish makes the replica lose a name that the source has lost. That it has was proved by the lookup
// that said so, on a volume that was there before and, as the session lives, is there now.
func (b *batch) vanish(f *find) error {
	if key, ok, err := b.ix.Child(f.at.Parent, f.at.Name); err != nil || !ok {
		return err
	} else if kept, err := b.kept(key, f); err != nil || kept {
		return err
	}
	steps, err := replica.Vanish(view{b}, f.at)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := b.perform(step, f); err != nil {
			return err
		}
	}
	return nil
}
