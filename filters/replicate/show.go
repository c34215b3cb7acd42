package replicate

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// view shows the planner what the replica holds now, this batch's own steps included.
type view struct{ b *batch }

func (v view) Get(key weir.Handle) (replica.Node, bool, error) { return v.b.ix.Get(key) }
func (v view) Child(at replica.Name) (weir.Handle, bool, error) {
	return v.b.ix.Child(at.Parent, at.Name)
}
func (v view) AnyName(n replica.Node) (replica.Name, bool, error) { return anyName(v.b.ix, n) }
func (v view) Alive(key weir.Handle) (bool, error)                { return v.b.s.alive(key) }

// namesReader is implemented by the index and by its batches.
type namesReader interface {
	NamesOf(key weir.Handle, fn func(replica.Name) (more bool, err error)) error
}

func anyName(ix namesReader, n replica.Node) (name replica.Name, ok bool, err error) {
	if len(n.Names) > 0 {
		return n.Names[0], true, nil
	}
	if n.Apart == 0 {
		return name, false, nil
	}
	err = ix.NamesOf(n.Key, func(first replica.Name) (bool, error) {
		name, ok = first, true
		return false, nil
	})
	return name, ok, err
}

// showOne makes the replica show what was found at one name.
func (b *batch) showOne(f *find) error {
	if b.rests(f) {
		return nil
	}
	for try := 1; ; try++ {
		err := b.tryShow(f)
		if !errors.Is(err, errDrift) || try == maxDrifts {
			return err
		}
		b.u.drifted(b.s.path(b.ix, f.at))
	}
}

func (b *batch) tryShow(f *find) error {
	if covered, _ := b.u.place.covers(f.at.Parent); covered {
		return nil // A volume was mounted over it since it was looked at.
	}
	if f.absent {
		return b.vanish(f)
	}
	_, known, err := b.ix.Get(f.key)
	if err != nil {
		return err
	}
	isFile := f.object.IsFile()
	if f.large {
		b.u.bulk.enqueue(f)
	}
	unread := isFile && (f.copied == nil || f.copied.temp == "" && !f.exists) || !isFile && !f.object.IsDir() && f.work == replica.Nothing
	if !known && unread {
		if !f.large && !f.deferred {
			b.again(f) // What was known when it was looked at is not any more.
		}
		return nil
	}
	if f.exists {
		if stale, err := b.settleExisting(f); err != nil {
			return err
		} else if stale {
			b.again(f)
			return nil
		}
	}
	if f.settledPlace {
		return b.bringUp(f)
	}
	if err := b.makeWay(f); err != nil {
		return err
	}
	steps, err := replica.Appear(view{b}, replica.Sighting{
		At: f.at, Key: f.key, Attr: f.object.Attr, Former: b.s.keys.former, Spared: b.spared, Kept: b.u.mayBeHeld(f.at),
	})
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := b.perform(step, f); err != nil {
			return err
		}
	}
	if f.object.IsDir() && b.u.place.foreign.remove(f.key) {
		b.grown = append(b.grown, f.key) // It has come into the tree, and what happened in it until now was not looked at.
	}
	made := !known && (len(steps) == 0 || steps[len(steps)-1].Verb != replica.Rekey)
	if made || f.deferred || f.work == replica.Nothing {
		return b.pin(f) // A new node was made with all that belongs to it.
	}
	return b.bringUp(f)
}

// spared reports a directory that may hold what an interrupted batch has put into it: that is known by the directory's key,
// and would be foreign under another. One in which a volume is mounted that is away is not: its replica is nowhere else.
func (b *batch) spared(key weir.Handle) (bool, error) {
	if len(b.u.intended) == 0 {
		return false, nil
	}
	keeps, err := b.keeps(key)
	return !keeps, err
}

// settleExisting decides what becomes of an object at the name that the index does not know: what is equal
// is taken over, the rest is set aside when the name is needed. It is stale if a node has got the name since: what was compared
// is not there any more.
func (b *batch) settleExisting(f *find) (stale bool, err error) {
	equal := f.object.IsFile() && f.copied != nil && f.copied.temp == ""
	_, taken, err := b.ix.Child(f.at.Parent, f.at.Name)
	if taken || err != nil {
		f.exists, f.takes = false, false
		return equal, err
	}
	if f.object.IsFile() {
		f.takes = equal
	}
	return false, nil
}

// again has a name looked at in the next batch.
func (b *batch) again(f *find) {
	b.u.add(f.item(f.ops | weir.OpModify))
}

// bringUp gives a node that has its name the content and metadata that were found.
func (b *batch) bringUp(f *find) error {
	node, known, err := b.ix.Get(f.key)
	if err != nil || !known {
		return err
	}
	if f.object.IsDir() {
		b.touch(f.key)
		return b.pin(f)
	}
	attr, xattrs, flags := f.object.Attr, f.xattrs, node.Flags&^replica.Partial
	var refused tree.Unstored
	if f.copied != nil {
		attr, xattrs = f.copied.version.Attr, f.copied.xattrs
		flags = f.copied.flags | node.Flags&replica.Pinned
		refused = f.copied.refused
	} else if f.object.IsFile() && f.work >= replica.Compare {
		return nil // A large file: its content comes later, and its metadata with it.
	} else if f.object.IsFile() && attr.Ctime != node.Source.Ctime {
		flags |= replica.Touched // A store through a mapping has the same ctime if the mtime was set back after it.
	}
	if f.copied != nil && f.isNew && node.Source == attr {
		b.noteRefused(f, &node, refused)
		return b.pin(f) // Another name of the same file has brought this version.
	}
	if f.copied != nil && f.copied.temp != "" {
		if err := b.replaceContent(f, node); err != nil {
			return err
		}
	} else {
		at, now, ok, err := b.objectOf(&node)
		if err != nil || !ok {
			return err
		}
		if f.copied == nil && f.object.IsFile() && !sameSizeAndTime(now, node.Target) {
			return b.edited(node, at, now) // Its time would hide what somebody else has written into it.
		}
		if f.copied != nil && !b.isStill(f.copied.equal, now) {
			return b.edited(node, at, now) // The version's content is in an object that had this name when it was compared.
		}
		dir, err := b.s.targetDir(b.ix, at.Parent)
		if err != nil {
			return err
		}
		refused, err = dir.SetMeta(at.Name, attr, xattrs, b.u.metaOptions())
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, tree.ErrReplaced) {
			return b.lose(node, at)
		}
		if err != nil {
			return fmt.Errorf("set metadata: %w", err)
		}
	}
	node.Source, node.Xattrs, node.Flags, node.Text = attr, digest(xattrs), flags, f.text
	b.noteRefused(f, &node, refused)
	return b.record(node)
}

// isStill reports whether an object of the replica is the one that it was, with what it held: weir gives a file other content
// by another object.
func (b *batch) isStill(was, now replica.Attr) bool {
	limits, tried := b.u.target.Limits()
	return now.Size == was.Size && (now.Ino == was.Ino || !tried || !limits.Handles)
}

// noteRefused lists what the target did not store.
func (b *batch) noteRefused(f *find, node *replica.Node, refused tree.Unstored) {
	refused = b.u.target.Surprises(refused, node.Source)
	if len(refused) > 0 {
		node.Flags |= replica.Partial
		b.u.partly(b.s.path(b.ix, f.at), f.at, refused)
	}
}

// record writes a node with the stat that its object on the target has now, when all of it has been set.
func (b *batch) record(node replica.Node) error {
	at, now, ok, err := b.onTarget(node)
	if err != nil || !ok {
		return err
	}
	node.Target = now
	return b.put(node, at)
}

// recordNames is record after a step that has changed nothing but names, and with them the ctime. What else is not as
// it was recorded is not taken over: of a directory it stays to be set by finishDir, and of any other object it is
// what somebody else has done.
func (b *batch) recordNames(node replica.Node) error {
	at, now, ok, err := b.objectOf(&node)
	switch {
	case err != nil || !ok:
		return err
	case now.Ino != node.Target.Ino || unchanged(now, node.Target): // Not every file system keeps the number.
		node.Target = now
	case !now.IsDir():
		return b.edited(node, at, now)
	}
	return b.put(node, at)
}

// objectOf looks at a node's object on the target, under the first of its names that leads there. Those before it are lost:
// an interrupted batch, or somebody else, has put another object under them, which must not be taken for the node's. The
// error is errDrift if all are.
func (b *batch) objectOf(node *replica.Node) (at replica.Name, now replica.Attr, ok bool, err error) {
	for {
		if at, now, ok, err = b.onTarget(*node); ok && !isNumbered(now, *node) {
			var dir *tree.Dir
			if dir, err = b.s.targetDir(b.ix, at.Parent); err == nil {
				err = b.keepsName(dir, at, *node)
			}
		}
		if !errors.Is(err, errDrift) {
			return at, now, ok && err == nil, err
		}
		left, known, failed := b.ix.Get(node.Key)
		if failed != nil {
			return at, now, false, failed
		}
		if !known {
			return at, now, false, err
		}
		b.u.drifted(b.s.path(b.ix, at))
		node.Names, node.Apart = left.Names, left.Apart
	}
}

// onTarget looks at what the target has under one of a node's names. The error is errDrift if that is gone.
func (b *batch) onTarget(node replica.Node) (at replica.Name, now replica.Attr, ok bool, err error) {
	if at, ok, err = anyName(b.ix, node); err != nil || !ok {
		return at, now, false, err
	}
	dir, err := b.s.targetDir(b.ix, at.Parent)
	if err == nil {
		now, err = dir.Stat(at.Name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = b.lose(node, at)
	}
	return at, now, err == nil, err
}

// put writes a node that was shown at a name.
func (b *batch) put(node replica.Node, at replica.Name) error {
	node.Gen = b.u.gen
	b.u.noteWritten(&node)
	b.ix.Put(node)
	return b.ix.Err()
}

// replaceContent puts a temporary under every name of the node, each in one step.
func (b *batch) replaceContent(f *find, node replica.Node) error {
	if replica.Emptied(&node, f.copied.version.Attr) && !b.u.mayRemove(1) {
		return errBrake
	}
	var all []replica.Name
	err := b.ix.NamesOf(node.Key, func(n replica.Name) (bool, error) {
		all = append(all, n)
		return true, nil
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		all = node.Names
	}
	for _, at := range all { // Before any is replaced: then the others are not its own any more.
		dir, err := b.s.targetDir(b.ix, at.Parent)
		if err != nil {
			return err
		}
		if err := b.keepsName(dir, at, node); err != nil {
			return err
		}
	}
	for i, at := range all {
		dir, err := b.s.targetDir(b.ix, at.Parent)
		if err != nil {
			return err
		}
		temp := f.copied.temp
		if i > 0 {
			first, err := b.s.targetDir(b.ix, all[0].Parent)
			if err != nil {
				return err
			}
			temp = b.u.tempName()
			if err := tree.Link(first, all[0].Name, b.s.dst.Tmp, temp); err != nil {
				return err
			}
		}
		if err := tree.Rename(b.s.dst.Tmp, temp, dir, at.Name, 0); err != nil {
			return err
		}
		if i == 0 {
			b.u.shownFile(f)
			f.copied.temp = ""
		}
		b.touch(at.Parent)
	}
	return nil
}

// makeWay sets aside what a former volume left, where something comes that cannot be merged with it: a file in the place
// of a directory, or a directory in the place of a file.
func (b *batch) makeWay(f *find) error {
	if !b.s.merge {
		return nil
	}
	key, taken, err := b.ix.Child(f.at.Parent, f.at.Name)
	if err != nil || !taken || !b.s.keys.former(key) {
		return err
	}
	node, known, err := b.ix.Get(key)
	if err != nil || !known || node.Source.IsDir() == f.object.IsDir() || node.Flags&replica.Pinned != 0 {
		return err
	}
	dir, err := b.s.targetDir(b.ix, f.at.Parent)
	if err == nil {
		err = b.expect(dir, f.at, node)
	}
	if err == nil {
		err = b.setAside(dir, f.at)
	}
	if err != nil {
		return err
	}
	return b.forgetName(key, f.at)
}
