package replicate

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// object tells about an object that the replica shall have.
func (w *dryWalk) object(n *dryNames, at replica.Name, path string, o tree.Object) error {
	at.Parent = n.key
	objectKey := w.s.keys.of(at, o)
	node, known, err := w.u.ix.Get(objectKey)
	if err != nil {
		return err
	}
	occupant, taken := weir.Handle(""), false
	if n.key != "" {
		if occupant, taken, err = w.u.ix.Child(n.key, at.Name); err != nil {
			return err
		}
	}
	name := []string{at.Name}
	sub := dryDir{path: slices.Concat(n.path, name), onto: spot{slices.Concat(n.onto.names, name), n.onto.parked}}
	switch {
	case known && taken && occupant == objectKey:
		sub.key, sub.has = objectKey, w.same(n, at.Name, path, o, node)
	case known:
		sub.key = objectKey
		w.moved(n, at.Name, path, o, node)
		if o.IsDir() {
			if sub.onto, sub.has, err = w.placeOf(objectKey); err != nil {
				return err
			}
		}
		if taken {
			displaced, _, err := w.u.ix.Get(occupant)
			if err != nil {
				return err
			}
			w.gone = append(w.gone, vanished{path: path, key: occupant, over: !o.IsDir() && !displaced.Source.IsDir() && !w.u.mayBeHeld(at)})
		}
	case taken:
		takes, err := w.replaced(n, at.Name, path, o, objectKey, occupant)
		if err != nil {
			return err
		}
		if takes {
			sub.key, sub.has = occupant, true
		}
	default:
		sub.has = w.newcomer(n, at.Name, path, o, objectKey)
	}
	if covered, _ := w.u.place.covers(objectKey); o.IsDir() && !covered {
		n.subs = append(n.subs, sub)
	}
	return nil
}

// replaced tells about an unknown object at the name of a known one, and reports whether it takes over what that has.
func (w *dryWalk) replaced(n *dryNames, name, path string, o tree.Object, key, occupant weir.Handle) (takes bool, err error) {
	displaced, _, err := w.u.ix.Get(occupant)
	if err != nil {
		return false, err
	}
	former := w.s.keys.former(occupant)
	if w.s.merge && former && displaced.Source.IsDir() != o.IsDir() && displaced.Flags&replica.Pinned == 0 {
		w.say(Change{Act: ActAside, Path: path, Reason: "a former volume left it, and it cannot be merged"})
		w.copy(ActCopy, path, o, key)
		return false, nil
	}
	if takes = former; !takes && o.IsDir() {
		alive, err := w.s.alive(occupant)
		if err != nil {
			return false, err
		}
		takes = !alive
	}
	switch {
	case takes && displaced.Source.Type() == o.Type():
		w.rekeyed(n, name, path, o)
		return true, nil
	case o.IsDir() || displaced.Source.IsDir():
		w.gone = append(w.gone, vanished{path: path, key: occupant})
		w.copy(ActCopy, path, o, key)
	default:
		w.copy(ActUpdate, path, o, key)
	}
	return false, nil
}

// same tells about an object that has its name already, and reports whether the target has it there.
func (w *dryWalk) same(n *dryNames, name, path string, o tree.Object, node replica.Node) bool {
	if node.Flags&replica.Pinned != 0 {
		return n.dst != nil // It belongs to the volume that is mounted there.
	}
	found := node
	if n.dst != nil {
		on, err := n.dst.Lookup(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			w.copy(ActCopy, path, o, node.Key) // Somebody has removed it from the target.
			return false
		case err == nil && !isOwn(w.t, on, node):
			w.say(Change{Act: ActAside, Path: path, Reason: "somebody has replaced it on the target"})
			w.copy(ActCopy, path, o, node.Key)
			return false
		case err == nil && o.IsDir():
			if !dirStands(node, o.Attr, on.Attr) {
				w.say(Change{Act: ActMetadata, Path: path})
			}
			return true
		case err == nil:
			observe(&found, on.Attr)
		}
	}
	switch work := w.work(found, o, func() bool { return w.equal(n, name) }); {
	case work == replica.Content && replica.Emptied(&node, o.Attr) && !w.asks(1):
		w.say(Change{Act: ActUpdate, Path: path, Reason: "it was emptied; " + errBrake.Error()})
	case work == replica.Content, work == replica.Metadata && o.Type() == replica.TypeLink && node.Source.Mtime != o.Mtime:
		w.copy(ActUpdate, path, o, node.Key)
	case work == replica.Metadata:
		w.say(Change{Act: ActMetadata, Path: path})
	}
	return true
}

// work decides as a run does about an object of which an audit has found that the replica has node. Where the content
// has to be read to know, it asks whether it is equal.
func (w *dryWalk) work(node replica.Node, o tree.Object, equal func() bool) replica.Work {
	work := replica.Decide(&node, o.Attr, w.s.why(&node, w.mode))
	switch {
	case work != replica.Compare:
		return work
	case !equal():
		return replica.Content
	case node.Source.Ctime != o.Ctime:
		return replica.Metadata
	}
	return replica.Nothing
}

// moved tells about a known object that has another name on the replica.
func (w *dryWalk) moved(n *dryNames, name, path string, o tree.Object, node replica.Node) {
	w.found[node.Key] = true
	c := Change{Act: ActRename, Path: path}
	if !o.IsDir() && o.Nlink > 1 {
		c.Act = ActLink
		if w.tried && !w.limits.HardLinks {
			c.Act, c.Reason = ActCannot, target.Unstorable("hard links").Error()
		}
	}
	if at, ok, err := anyName(w.u.ix, node); err == nil && ok && at.Parent != replica.Parking {
		c.From = w.s.path(w.u.ix, at)
	}
	old, oldName := w.home(node)
	if old != nil {
		defer old.Close()
		if on, err := old.Stat(oldName); err == nil {
			observe(&node, on)
		}
	}
	equal := func() bool { return old != nil && w.equalIn(n.src, name, old, oldName) }
	if c.Act != ActCannot && w.work(node, o, equal) == replica.Content {
		c.Bytes, c.Reason = o.Size, "and its content has changed"
	}
	w.say(c)
}

// home opens the directory in which the target has a known object, nil if it has none, and returns its name there.
func (w *dryWalk) home(node replica.Node) (dir *tree.Dir, name string) {
	at, ok, err := anyName(w.u.ix, node)
	if err != nil || !ok {
		return nil, ""
	}
	above, known, err := w.placeOf(at.Parent)
	if err != nil || !known {
		return nil, ""
	}
	return w.open(above), at.Name
}

// placeOf returns where the target has a directory that the index knows, if it is known there.
func (w *dryWalk) placeOf(key weir.Handle) (to spot, known bool, err error) {
	to.names, to.parked, known, err = names(w.u.ix, w.s.root, key)
	return to, known, err
}

// rekeyed tells about an object of a former volume that becomes that of the volume which stands there now.
func (w *dryWalk) rekeyed(n *dryNames, name, path string, o tree.Object) {
	switch {
	case o.IsDir():
	case o.IsFile() && w.equal(n, name):
		w.say(Change{Act: ActTake, Path: path})
	default:
		w.copy(ActUpdate, path, o, "")
	}
}

// newcomer tells about an object of which the index knows nothing, and reports whether the target has a
// directory there already.
func (w *dryWalk) newcomer(n *dryNames, name, path string, o tree.Object, key weir.Handle) bool {
	if n.dst != nil {
		on, err := n.dst.Lookup(name)
		if err == nil && w.takes(n, name, o, on) {
			c := Change{Act: ActTake, Path: path}
			if w.dressed(n, name, o, on) {
				c.Reason = "its metadata is set"
			}
			w.say(c)
			return o.IsDir()
		}
		if err == nil {
			w.say(Change{Act: ActAside, Path: path, Reason: "weir did not make it, and it is not equal"})
		}
	}
	if first, again := w.linked[key]; again {
		if w.tried && !w.limits.HardLinks {
			w.say(Change{Act: ActCannot, Path: path, From: first, Reason: target.Unstorable("hard links").Error()})
		} else {
			w.say(Change{Act: ActLink, Path: path, From: first})
		}
		return false
	}
	w.copy(ActCopy, path, o, key)
	return false
}

// takes reports whether what the target has is equal to what the source has, metadata aside.
func (w *dryWalk) takes(n *dryNames, name string, o, on tree.Object) bool {
	if on.Type() != o.Type() || on.Rdev != o.Rdev {
		return false
	}
	switch {
	case o.IsFile():
		return w.equal(n, name)
	case o.Type() == replica.TypeLink:
		text, err := n.src.Readlink(name)
		other, otherErr := n.dst.Readlink(name)
		return err == nil && otherErr == nil && text == other
	}
	return true
}

// dressed reports whether what is taken over gets other metadata.
func (w *dryWalk) dressed(n *dryNames, name string, o, on tree.Object) bool {
	if w.r.options.NoPrivileges && !o.IsDir() {
		o.Mode &^= 0o6000
	}
	if o.Mode != on.Mode || o.UID != on.UID || o.GID != on.GID || o.Mtime != on.Mtime {
		return true
	}
	has, err := n.src.Xattrs(name)
	other, otherErr := n.dst.Xattrs(name)
	return err == nil && otherErr == nil && digest(has) != digest(other)
}

// equal compares the content of a file on both sides.
func (w *dryWalk) equal(n *dryNames, name string) bool {
	return n.dst != nil && w.equalIn(n.src, name, n.dst, name)
}

// equalIn compares two files as a run does, and counts what that reads of the source.
func (w *dryWalk) equalIn(src *tree.Dir, name string, dst *tree.Dir, old string) bool {
	a, err := src.OpenFile(name)
	if err != nil {
		return false
	}
	defer a.Close()
	b, err := dst.OpenFile(old)
	if err != nil {
		return false
	}
	defer b.Close()
	o, err := a.Stat()
	if err != nil {
		return false
	}
	counted := func(_ context.Context, bytes int) error {
		w.total.Bytes += int64(bytes)
		return nil
	}
	same, err := w.u.sameContent(w.s.ctx, a, b, o.Size, counted)
	return err == nil && same
}

// copy tells that an object is made on the target.
func (w *dryWalk) copy(act Act, path string, o tree.Object, key weir.Handle) {
	c := Change{Act: act, Path: path}
	if o.IsFile() {
		c.Bytes = o.Size
	}
	if !o.IsDir() && o.Nlink > 1 && key != "" {
		if _, again := w.linked[key]; again {
			c.Bytes = 0 // It is read once.
		}
		w.linked[key] = path
	}
	if w.r.options.NoPrivileges && !o.IsDir() && o.Mode&0o6000 != 0 {
		c.Reason = "without its setuid or setgid bit: --no-privileges"
	}
	w.say(c)
}
