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

// make creates the object of a node that the replica does not have.
func (b *batch) make(step replica.Step, f *find) error {
	dir, err := b.s.targetDir(b.ix, step.To.Parent)
	if err != nil {
		return err
	}
	if err := b.free(dir, step); err != nil {
		return err
	}
	node := replica.Node{Key: step.Key, Source: f.object.Attr, Names: []replica.Name{step.To}, Text: f.text}
	var refused tree.Unstored
	switch {
	case f.takes:
		refused, err = b.takeOver(dir, step.To, f)
	case f.object.IsDir():
		err = b.makeDir(dir, step.To)
	case f.object.IsFile():
		err = b.place(b.s.dst.Tmp, f.copied.temp, dir, step.To, step.Over)
	default:
		refused, err = b.makeSpecial(dir, step, f)
	}
	if err != nil {
		return err
	}
	switch {
	case f.object.IsDir():
		b.grown = append(b.grown, step.Key)
		b.touch(step.Key)
		node.Source.Ctime = replica.Time{} // Its metadata is set when the last step in it is done.
	case f.object.IsFile():
		node.Source, node.Flags, node.Xattrs = f.copied.version.Attr, f.copied.flags, digest(f.copied.xattrs)
		if !f.takes {
			refused = f.copied.refused
		}
		b.u.shownFile(f)
		f.copied.temp = ""
	default:
		node.Xattrs = digest(f.xattrs)
	}
	b.noteRefused(f, &node, refused)
	if step.Over == "" && (!f.mode.scan || f.mode.followed) { // What takes a name over makes up for nothing.
		b.u.grew()
	}
	if err := b.took(step); err != nil {
		return err
	}
	b.touch(step.To.Parent)
	now, err := dir.Stat(step.To.Name)
	if err != nil {
		return err
	}
	node.Target, node.Gen = now, b.u.gen
	b.u.noteWritten(&node)
	b.ix.PutNew(node)
	return b.ix.Err()
}

// takeOver gives an object that the target has already, and whose content is right, its metadata.
func (b *batch) takeOver(dir *tree.Dir, at replica.Name, f *find) (tree.Unstored, error) {
	attr, xattrs := f.object.Attr, f.xattrs
	switch {
	case f.object.IsDir():
		return nil, nil // It comes when the last step in it is done.
	case f.object.IsFile():
		attr, xattrs = f.copied.version.Attr, f.copied.xattrs
	}
	return dir.SetMeta(at.Name, attr, xattrs, b.u.metaOptions())
}

func (b *batch) makeDir(dir *tree.Dir, at replica.Name) error {
	err := dir.Mkdir(at.Name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if o, lookErr := dir.Lookup(at.Name); lookErr == nil && o.IsDir() {
		return nil // What is in it is compared on the walk that follows.
	}
	temp := b.u.tempName()
	if err := b.s.dst.Tmp.Mkdir(temp); err != nil {
		return err
	}
	return b.place(b.s.dst.Tmp, temp, dir, at, "")
}

// makeSpecial creates a symlink, FIFO, socket or device with its metadata, and only then shows it.
func (b *batch) makeSpecial(dir *tree.Dir, step replica.Step, f *find) (refused tree.Unstored, err error) {
	tmp, name := b.s.dst.Tmp, b.u.tempName()
	if f.object.Type() == replica.TypeLink {
		err = tmp.Symlink(f.text, name)
	} else {
		err = tmp.Mknod(name, f.object.Type()|0o600, f.object.Rdev)
	}
	if err != nil {
		return nil, err
	}
	if refused, err = tmp.SetMeta(name, f.object.Attr, f.xattrs, b.u.metaOptions()); err == nil {
		err = b.place(tmp, name, dir, step.To, step.Over)
	}
	if err != nil {
		_ = tmp.Unlink(name) // What is left is removed at the next start.
	}
	return refused, err
}

// place gives an object its name. The node over may be overwritten, anything else is set aside in the same moment: a
// reader finds the one or the other.
func (b *batch) place(from *tree.Dir, old string, to *tree.Dir, at replica.Name, over weir.Handle) error {
	if over != "" {
		node, _, err := b.ix.Get(over)
		if err != nil {
			return err
		}
		if stands, err := b.stands(to, at, node); err != nil {
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

// lessLinked records that an object has another ctime, since it has lost a name and has others.
func (b *batch) lessLinked(key weir.Handle) error {
	node, known, err := b.ix.Get(key)
	if err != nil || !known {
		return err
	}
	at, ok, err := anyName(b.ix, node)
	if err != nil || !ok {
		return err
	}
	dir, err := b.s.targetDir(b.ix, at.Parent)
	if err != nil {
		return err
	}
	if now, err := dir.Stat(at.Name); err != nil || now.Ino != node.Target.Ino {
		return nil // Somebody has changed the replica, which is found when that name is looked at.
	}
	return b.recordNames(node)
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
	if node.Source.IsDir() && b.u.r.options.Rules.NeedsPath() {
		b.grown = append(b.grown, step.Key) // By its new path other rules may hold for what is in it.
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

// rekey takes an object over for another source inode.
func (b *batch) rekey(step replica.Step, f *find) error {
	node, known, err := b.ix.Get(step.Old)
	if err != nil || !known {
		return err
	}
	if node.Flags&replica.Pinned != 0 {
		if err := b.u.r.remade(b.u.place, step.Old, step.Key); err != nil {
			return err
		}
		b.pinned = true // Now the volume's replica finds its way.
	}
	children := node.Source.IsDir()
	b.s.dirs.drop(step.Old) // What was found in the former one, before it went away, finds no directory now.
	b.ix.Delete(step.Old)
	node.Key = step.Key
	node.Source.Ctime, node.Source.Mtime = replica.Time{}, replica.Time{}
	b.ix.Put(node)
	if children {
		if err := b.reparent(step.Old, step.Key); err != nil {
			return err
		}
		b.u.resolvedIn(step.Old) // What is still wrong in it is found on the walk that follows.
		b.grown = append(b.grown, step.Key)
		b.touch(step.Key)
		return nil
	}
	if f.copied == nil {
		b.again(f)
	}
	return b.ix.Err()
}

// reparent moves the entries of a directory to its new key.
func (b *batch) reparent(old, key weir.Handle) error {
	var names []string
	var keys []weir.Handle
	err := b.ix.Children(old, "", func(name string, child weir.Handle) (bool, error) {
		names, keys = append(names, name), append(keys, child)
		return true, nil
	})
	for i, name := range names {
		b.ix.Link(keys[i], replica.Name{Parent: key, Name: name})
		b.ix.Unlink(keys[i], replica.Name{Parent: old, Name: name})
	}
	return errors.Join(err, b.ix.Err())
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
