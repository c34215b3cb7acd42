package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// audit makes the index say what the replica really has in one directory: names that are gone are
// forgotten, objects that somebody has replaced are set aside, objects that somebody has changed are
// marked as unlike any version of the source. It returns the names that the index does not know.
func (u *unit) audit(s *session, key weir.Handle) (map[string]bool, error) {
	b := u.newBatch(s, walkMode{})
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	dir, err := s.targetDir(b.ix, key)
	if errors.Is(err, errUnknownDir) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.auditLost(key)
	}
	if err != nil {
		return nil, err
	}
	unknown := make(map[string]bool)
	unseen, err := b.children(key)
	if err != nil {
		return nil, err
	}
	err = dir.List(func(name string, _ uint32) error {
		at := replica.Name{Parent: key, Name: name}
		if s.hidden(at) {
			return nil
		}
		child, ok := unseen[name]
		if !ok { // The index does not have it, or it is told twice.
			if child, ok, err = b.ix.Child(key, name); err != nil {
				return err
			}
		}
		if !ok {
			unknown[name] = true
			return s.err()
		}
		delete(unseen, name)
		known, err := b.auditName(dir, at, child)
		if !known {
			unknown[name] = true
		}
		return err
	})
	if err == nil {
		err = b.auditMissing(dir, key, unseen)
	}
	if err != nil {
		return nil, err
	}
	if !b.ix.Changed() {
		return unknown, nil
	}
	return unknown, b.ix.Commit(false)
}

// children returns what the index has in a directory: read in order, which is much cheaper than name by name.
func (b *batch) children(dir weir.Handle) (map[string]weir.Handle, error) {
	all := make(map[string]weir.Handle)
	err := b.ix.Children(dir, "", func(name string, key weir.Handle) (bool, error) {
		all[name] = key
		return true, nil
	})
	return all, err
}

// hidden reports names on the target that are no part of the tree.
func (s *session) hidden(at replica.Name) bool {
	return at.Parent == s.root && s.rel == "" && (at.Name == target.HiddenDir || at.Name == tree.LostFound)
}

// auditLost forgets a directory that is not where the index says.
func (b *batch) auditLost(key weir.Handle) error {
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok || len(node.Names) == 0 {
		return err
	}
	if err := b.forgetName(key, node.Names[0]); err != nil {
		return err
	}
	b.u.add(replica.Item{Dir: node.Names[0].Parent, Name: node.Names[0].Name, Ops: weir.OpCreate})
	return b.ix.Commit(false)
}

// auditName compares one object with what the index says of it. It reports false if that is another object: the
// index forgets the name, and what stands there is compared with the source, or set aside, on the walk. Until then
// a reader finds it.
func (b *batch) auditName(dir *tree.Dir, at replica.Name, key weir.Handle) (known bool, err error) {
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok {
		return true, err
	}
	t := node.Target
	if a, err := dir.Stat(at.Name); err == nil && a.Ino == t.Ino && untouched(a, t) {
		return true, nil
	}
	o, err := dir.Lookup(at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	switch {
	case !b.u.target.SameInode(o, t):
		return false, b.forgetName(key, at)
	case untouched(o.Attr, t):
		return true, nil
	}
	unlike(&node, o.Attr)
	b.ix.Put(node)
	if node.Gen <= b.u.barrier.settled.Load() {
		b.u.drifted(b.s.path(b.ix, at)) // Otherwise weir itself may have been interrupted.
	}
	return true, b.ix.Err()
}

// untouched reports whether nobody has changed an object since its attributes were recorded. A directory is compared
// on its own walk.
func untouched(now, then replica.Attr) bool {
	if now.IsDir() {
		return then.IsDir()
	}
	return now.Ctime == then.Ctime && unchanged(now, then)
}

// unchanged compares what is kept of an object on the target. Its ctime moves with every name that it gets, and that of a
// directory with every entry.
func unchanged(now, then replica.Attr) bool {
	return now.Mode == then.Mode && now.UID == then.UID && now.GID == then.GID &&
		now.Mtime == then.Mtime && (now.IsDir() || now.Size == then.Size)
}

func sameSizeAndTime(now, then replica.Attr) bool {
	return now.Size == then.Size && now.Mtime == then.Mtime
}

// unlike marks a node whose object somebody has changed as unlike any version of the source.
func unlike(node *replica.Node, now replica.Attr) {
	if !sameSizeAndTime(now, node.Target) {
		node.Source.Mtime = replica.Time{}
	}
	node.Source.Ctime = replica.Time{}
}

// auditMissing forgets the names that the listing did not show and a lookup does not find.
func (b *batch) auditMissing(dir *tree.Dir, key weir.Handle, unseen map[string]weir.Handle) error {
	for name, child := range unseen {
		_, err := dir.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = b.forgetName(child, replica.Name{Parent: key, Name: name})
		}
		if err = errors.Join(err, b.s.err()); err != nil {
			return err
		}
	}
	return nil
}
