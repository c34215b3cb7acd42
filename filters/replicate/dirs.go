package replicate

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// finishDirs sets the metadata of the directories in which something was done, or of which a change was
// reported: times last, since every step in a directory moves them.
func (b *batch) finishDirs() error {
	for key := range b.touched {
		if err := b.s.err(); err != nil {
			return err
		}
		if key == replica.Parking {
			continue
		}
		b.s.dirs.trim()
		if err := b.finishDir(key); err != nil && b.failed(&find{at: b.nameOf(key)}, err) {
			return err
		}
	}
	return nil
}

// nameOf returns a directory's name on the replica, under which problems with its metadata are listed.
func (b *batch) nameOf(key weir.Handle) replica.Name {
	if node, ok, err := b.ix.Get(key); err == nil && ok && len(node.Names) > 0 {
		return node.Names[0]
	}
	return replica.Name{Parent: key, Name: self}
}

func (b *batch) finishDir(key weir.Handle) error {
	node, known, err := b.ix.Get(key)
	if err != nil || !known && key != b.s.root {
		return err
	}
	if node.Flags&replica.Pinned != 0 {
		b.u.resolved(b.nameOf(key)) // Its metadata is that of the volume's root.
		return nil
	}
	src, err := b.s.sourceDir(b.ix, key)
	if err != nil {
		if err = unlessVanished(err); err != nil {
			return b.u.dirProblem(b.s, b.ix, key, err)
		}
		if _, ok := b.s.keys.handle(key); ok || b.nameOf(key).Parent == replica.Parking {
			return nil // It is gone, or comes back by another name.
		}
		return errVanished // It is found by its path, which a directory above it may just have left.
	}
	defer src.Close()
	self, err := src.Stat("")
	if err != nil {
		return err
	}
	dst, err := b.s.targetDir(b.ix, key)
	if err != nil {
		return err
	}
	was, err := dst.Stat("")
	if err != nil {
		return err
	}
	if known && dirStands(node, self, was) && !b.doubtful(node) {
		b.u.resolved(b.nameOf(key))
		return nil
	}
	var xattrs tree.Xattrs
	if xattrs, err = src.Xattrs(""); err != nil {
		return err
	}
	refused, err := dst.SetMeta("", self, xattrs, b.u.metaOptions())
	if err != nil {
		return fmt.Errorf("set metadata of directory: %w", err)
	}
	now, err := dst.Stat("")
	if err != nil {
		return err
	}
	node.Key, node.Source, node.Target, node.Xattrs, node.Gen = key, self, now, digest(xattrs), b.u.gen
	node.Flags &^= replica.Partial
	if b.noteRefused(&find{at: b.nameOf(key)}, &node, refused); node.Flags&replica.Partial == 0 {
		b.u.resolved(b.nameOf(key))
	}
	b.ix.Put(node)
	return b.ix.Err()
}

// dirStands reports whether a directory of the replica, which is like was, has the metadata that its source has.
func dirStands(node replica.Node, self, was replica.Attr) bool {
	// Of an xattr that somebody has set on the replica the ctime alone tells. Steps in the directory move it too.
	untouched := was.Ino == node.Target.Ino && was.Ctime == node.Target.Ctime && unchanged(was, node.Target)
	return node.Source == self && untouched && node.Flags&replica.Partial == 0
}

// doubtful reports whether the target may have lost what was set last on a directory. Its ctime does not tell.
func (b *batch) doubtful(node replica.Node) bool {
	b.u.mu.Lock()
	defer b.u.mu.Unlock()
	return b.mode.audit && b.u.suspects.has(node.Gen)
}

// pin marks the directory on which a followed volume is mounted: its content belongs to the replica of that
// volume from now on. What the replica has in it from before the mount is set aside. One that is no such directory any more
// is compared like any other.
func (b *batch) pin(f *find) error {
	if !f.object.IsDir() || !b.u.r.anyPlaceIn(b.u.place) {
		return nil
	}
	node, known, err := b.ix.Get(f.key)
	if err != nil || !known {
		return err
	}
	switch anchor, pinned := b.u.r.isAnchor(b.u.place, f.key), node.Flags&replica.Pinned != 0; {
	case anchor == pinned:
		return nil
	case pinned:
		return b.unpin(node)
	}
	if err := b.clear(f.key); err != nil {
		return err
	}
	node.Flags |= replica.Pinned
	b.ix.Put(node)
	b.pinned = true
	at, known, err := b.nameOfFormer(f.key)
	if known {
		b.u.add(replica.Item{Dir: at.Parent, Name: at.Name})
	}
	return errors.Join(err, b.ix.Err())
}

// nameOfFormer returns the name that the replica has for what was the mount point of a place before it was mounted on the
// directory of that key.
func (b *batch) nameOfFormer(key weir.Handle) (at replica.Name, known bool, err error) {
	former := b.u.r.formerAnchor(b.u.place, key)
	if former == "" {
		return at, false, nil
	}
	node, known, err := b.ix.Get(former)
	if err != nil || !known {
		return at, false, err
	}
	return anyName(b.ix, node)
}

// unpin has a directory compared that was the mount point of a place which has another one now. What it holds of that
// place's replica is set aside, unless the source has it too.
func (b *batch) unpin(node replica.Node) error {
	if holds, err := b.holds(node); err != nil || holds {
		return err
	}
	node.Flags &^= replica.Pinned
	b.ix.Put(node)
	b.touch(node.Key)
	b.u.add(replica.Item{Dir: node.Key, Tree: true})
	return b.ix.Err()
}

// holds reports whether a directory of the replica is a mount point whose content is that of another place. One that is no
// place's any more may still be, on a target that has missed what became of it, until each place has its own there.
func (b *batch) holds(node replica.Node) (bool, error) {
	if node.Flags&replica.Pinned == 0 {
		return false, nil
	}
	bare := false
	for _, p := range b.u.r.allPlaces() {
		if p.parent != b.u.place {
			continue
		}
		key := p.anchor()
		if key == node.Key {
			return true, nil
		}
		own, _, err := b.ix.Get(key)
		if err != nil {
			return true, err
		}
		bare = bare || own.Flags&replica.Pinned == 0
	}
	return bare, nil
}

// clear sets aside what the replica has in a directory.
func (b *batch) clear(key weir.Handle) error {
	dir, err := b.s.targetDir(b.ix, key)
	if err != nil {
		return err
	}
	var names []string
	var keys []weir.Handle
	err = b.ix.Children(key, "", func(name string, child weir.Handle) (bool, error) {
		names, keys = append(names, name), append(keys, child)
		return true, nil
	})
	if err != nil {
		return err
	}
	for i, name := range names {
		at := replica.Name{Parent: key, Name: name}
		if err := b.setAside(dir, at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := b.forgetName(keys[i], at); err != nil {
			return err
		}
	}
	return nil
}

// kept reports whether a name stays on the replica although the source has lost it: the mount point of a
// volume that may come back, and what a rule has excluded since it was copied.
func (b *batch) kept(key weir.Handle, f *find) (bool, error) {
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if holds, err := b.holds(node); err != nil {
		return false, err
	} else if holds {
		if !b.u.r.isAnchor(b.u.place, key) {
			return true, errPinned // No place is told of there.
		}
		return true, nil
	}
	if b.s.merge && b.s.keys.former(key) {
		return true, nil
	}
	rules := &b.u.r.options.Rules
	return !rules.Empty() && rules.ExcludedEntry(b.s.path(b.ix, f.at), node.Source.IsDir()), nil
}

// keeps reports whether a directory on the replica holds that of another volume.
func (b *batch) keeps(dir weir.Handle) (bool, error) {
	if !b.u.r.anyPlaceIn(b.u.place) {
		return false, nil
	}
	_, keeps, err := b.weigh(dir)
	return keeps, err
}

// countLimit is where counting stops: no brake needs to know more.
const countLimit = 1_000_000

// weigh returns how many nodes a tree on the replica has, up to countLimit, and whether one of them holds the replica
// of another volume. What holds it is asked of the replica: the mount point of a volume that is away may have been
// made anew, on one target and not yet on the next.
func (b *batch) weigh(top weir.Handle) (n int, keeps bool, err error) {
	nested := b.u.r.anyPlaceIn(b.u.place)
	var stack []weir.Handle
	visit := func(_ string, key weir.Handle) (bool, error) {
		n++
		node, _, err := b.ix.Get(key)
		if err == nil && node.Source.IsDir() {
			stack = append(stack, key)
			if nested && !keeps {
				keeps, err = b.holds(node)
			}
		}
		return n < countLimit || nested && !keeps, err
	}
	_, err = visit("", top)
	for err == nil && len(stack) > 0 && (n < countLimit || nested && !keeps) {
		dir := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		err = b.ix.Children(dir, "", visit)
	}
	return n, keeps, err
}
