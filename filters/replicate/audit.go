package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// audited is what an audit found in one directory.
type audited struct {
	unknown map[string]bool          // names that the target has and the index does not
	nodes   map[string]*replica.Node // of other names, as the index had them at version; no more than maxKept
	version uint64
}

// maxKept bounds the nodes that an audit of a directory keeps for the walk, which reads the others again.
const maxKept = 1 << 14

// auditor audits one directory.
type auditor struct {
	*batch
	key    weir.Handle
	dir    *tree.Dir              // of the target
	unseen map[string]weir.Handle // what the index has in it and the listing has not shown
	names  []string               // listed, and not looked at yet
	found  audited
}

// audit makes the index say what the replica really has in one directory: names that are gone are
// forgotten, objects that somebody has replaced are set aside, objects that somebody has changed are
// marked as unlike any version of the source.
func (u *unit) audit(s *session, key weir.Handle) (audited, error) {
	a := &auditor{batch: u.newBatch(s, walkMode{}), key: key, unseen: make(map[string]weir.Handle)}
	a.ix = u.ix.NewBatch()
	defer a.ix.Close()
	dir, err := s.targetDir(a.ix, key)
	if errors.Is(err, errUnknownDir) {
		return a.found, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return a.found, a.auditLost(key)
	}
	if err != nil {
		return a.found, err
	}
	a.dir, a.found = dir, audited{make(map[string]bool), make(map[string]*replica.Node), u.ix.Version()}
	if err := a.compare(); err != nil {
		return audited{}, err
	}
	if !a.ix.Changed() {
		return a.found, nil
	}
	return a.found, a.ix.Commit(false)
}

// auditUnseen audits what a walk that has ended need not have come to, with all below it: what is still parked, and what
// has moved meanwhile.
func (u *unit) auditUnseen(s *session) error {
	dirs := []weir.Handle{replica.Parking}
	for key := range u.wandered {
		dirs = append(dirs, key)
	}
	for len(dirs) > 0 {
		key := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		if key != replica.Parking {
			if err := u.auditDir(s, key); err != nil {
				return err
			}
		}
		err := u.ix.Children(key, "", func(_ string, child weir.Handle) (bool, error) {
			node, known, err := u.ix.Get(child)
			if known && node.Source.IsDir() && node.Flags&replica.Pinned == 0 {
				dirs = append(dirs, child)
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// auditDir audits a directory and sets aside what nobody knows. If the source has that it comes anew.
func (u *unit) auditDir(s *session, key weir.Handle) error {
	found, err := u.audit(s, key)
	if errors.Is(err, target.ErrCovered) {
		u.passedOver() // When the mount over it leaves, all is audited again.
		return nil
	}
	if err != nil || len(found.unknown) == 0 {
		return err
	}
	b := u.newBatch(s, walkMode{})
	for name := range found.unknown {
		b.strays = append(b.strays, replica.Name{Parent: key, Name: name})
	}
	u.add(replica.Item{Dir: key, Whole: true})
	return b.finish()
}

// compare reads index and listing in the order in which they have what is in the directory, which is much cheaper
// than name by name.
func (a *auditor) compare() error {
	err := a.ix.Children(a.key, "", func(name string, key weir.Handle) (bool, error) {
		a.unseen[name] = key
		return true, nil
	})
	if err != nil {
		return err
	}
	err = a.dir.List(func(name string, _ uint32) error {
		if a.s.hidden(replica.Name{Parent: a.key, Name: name}) {
			return nil
		}
		if a.names = append(a.names, name); len(a.names) < walkChunk {
			return a.s.err()
		}
		return a.some()
	})
	if err == nil {
		err = a.some()
	}
	if err == nil {
		err = a.auditMissing(a.dir, a.key, a.unseen)
	}
	return err
}

// some looks at the names that were listed until now.
func (a *auditor) some() error {
	keys := make([]weir.Handle, 0, len(a.names))
	for _, name := range a.names {
		if key, ok := a.unseen[name]; ok {
			keys = append(keys, key)
		}
	}
	nodes := make(map[weir.Handle]*replica.Node, len(keys))
	err := a.u.ix.GetAll(keys, func(n replica.Node) error {
		nodes[n.Key] = &n
		return nil
	})
	for _, name := range a.names {
		if err == nil {
			err = a.name(name, nodes)
		}
		if err == nil {
			err = a.s.err()
		}
	}
	a.names = a.names[:0]
	return err
}

// name looks at one name. nodes are what the index had before this audit changed it.
func (a *auditor) name(name string, nodes map[weir.Handle]*replica.Node) error {
	at := replica.Name{Parent: a.key, Name: name}
	key, ok := a.unseen[name]
	if !ok { // The index does not have it, or it is told twice.
		var err error
		if key, ok, err = a.ix.Child(a.key, name); err != nil {
			return err
		}
	}
	if !ok {
		a.found.unknown[name] = true
		return nil
	}
	delete(a.unseen, name)
	node := nodes[key]
	if node == nil || a.ix.Changed() {
		now, ok, err := a.ix.Get(key)
		if err != nil || !ok {
			return err
		}
		node = &now
	}
	known, err := a.auditName(a.dir, at, *node)
	if !known {
		a.found.unknown[name] = true
	} else if len(a.found.nodes) < maxKept {
		a.found.nodes[name] = node
	}
	return err
}

// hidden reports names on the target that are no part of the tree.
func (s *session) hidden(at replica.Name) bool {
	return at.Parent == s.root && s.rel == "" && s.dst.Keeps(at.Name)
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
func (b *batch) auditName(dir *tree.Dir, at replica.Name, node replica.Node) (known bool, err error) {
	t := node.Target
	if a, err := dir.Stat(at.Name); err == nil && isNumbered(a, node) && untouched(a, t) {
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
	case !isOwn(b.u.target, o, node):
		return false, b.forgetName(node.Key, at)
	case !observe(&node, o.Attr):
		return true, nil
	}
	b.ix.Put(node)
	// A file system without handles may have told the ctime before the last link of the file, from a cache.
	vague := o.Handle == "" && unchanged(o.Attr, t)
	if node.Gen <= b.u.barrier.settled.Load() && !vague {
		b.u.drifted(b.s.path(b.ix, at)) // Otherwise weir itself may have been interrupted.
	}
	return true, b.ix.Err()
}

// observe marks a node as unlike any version of the source if somebody has changed its object, which is like that now,
// and reports whether somebody has.
func observe(node *replica.Node, now replica.Attr) (changed bool) {
	if untouched(now, node.Target) {
		return false
	}
	unlike(node, now)
	return true
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
