package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir"
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
	seen := make(map[string]bool)
	err = dir.List(func(name string, _ uint32) error {
		at := replica.Name{Parent: key, Name: name}
		if s.hidden(at) {
			return nil
		}
		child, ok, err := b.ix.Child(key, name)
		if err != nil {
			return err
		}
		if !ok {
			unknown[name] = true
			return s.err()
		}
		seen[name] = true
		known, err := b.auditName(dir, at, child)
		if !known {
			unknown[name] = true
		}
		return err
	})
	if err == nil {
		err = b.auditMissing(dir, key, seen)
	}
	if err != nil {
		return nil, err
	}
	return unknown, b.ix.Commit(false)
}

// hidden reports names on the target that are no part of the tree.
func (s *session) hidden(at replica.Name) bool {
	return at.Parent == s.root && s.rel == "" && (at.Name == HiddenDir || at.Name == lostFound)
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
	o, err := dir.Lookup(at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok {
		return true, err
	}
	t := node.Target
	switch {
	case !b.u.target.sameInode(o, t):
		return false, b.forgetName(key, at)
	case o.IsDir():
		return true, nil // Its own walk compares it.
	case o.Ctime == t.Ctime && o.Mtime == t.Mtime && o.Size == t.Size && o.Mode == t.Mode && o.UID == t.UID && o.GID == t.GID:
		return true, nil
	case o.Size != t.Size || o.Mtime != t.Mtime:
		node.Source.Mtime = replica.Time{}
	}
	node.Source.Ctime = replica.Time{}
	b.ix.Put(node)
	if node.Gen <= b.u.barrier.settled.Load() {
		b.u.drifted(b.s.path(b.ix, at)) // Otherwise weir itself may have been interrupted.
	}
	return true, b.ix.Err()
}

// auditMissing forgets the names that the listing did not show and a lookup does not find.
func (b *batch) auditMissing(dir *tree.Dir, key weir.Handle, seen map[string]bool) error {
	var gone []replica.Name
	var keys []weir.Handle
	err := b.ix.Children(key, "", func(name string, child weir.Handle) (bool, error) {
		if seen[name] {
			return true, b.s.err()
		}
		_, err := dir.Lookup(name)
		if errors.Is(err, fs.ErrNotExist) {
			gone, keys = append(gone, replica.Name{Parent: key, Name: name}), append(keys, child)
			err = nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	for i, at := range gone {
		if err := b.forgetName(keys[i], at); err != nil {
			return err
		}
	}
	return nil
}
