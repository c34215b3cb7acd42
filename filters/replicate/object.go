package replicate

import (
	"maps"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// An event names the directory entry by which an inode was changed. Before that is looked at the entry may be gone, or be
// another inode's, and it may lie outside of the place; by other names the inode may be part of the replica. Then it is
// looked at under one of those.

// maxHeard bounds the inodes that are remembered until it is known whether the replica has them.
const maxHeard = 1 << 16

// hearLocked takes note of a change of an inode that the replica may have under another name. On a busy volume of which
// the place is a small part that is most of what is reported, so it does not count as work before sift. u.mu is held.
func (u *unit) hearLocked(object weir.Handle, ops weir.Ops) {
	_, known := u.heard[object]
	switch {
	case object == "":
		return
	case !known && len(u.heard) >= maxHeard:
		u.heard = nil
		u.dirty.AddAll()
		return
	case len(u.heard) == 0:
		u.heard, u.heardSince = make(map[weir.Handle]weir.Ops), time.Now()
	}
	u.heard[object] |= ops
}

// hear takes note of the inodes of items that are not looked at under their names.
func (u *unit) hear(items []replica.Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, i := range items {
		u.hearLocked(i.Object, i.Ops)
	}
}

// sift makes those inodes dirty of which something was heard and which the replica has. The others may be forgotten: the
// unit's goroutine is between two batches, so whatever it does not have yet it has still to look at.
func (u *unit) sift() error {
	u.mu.Lock()
	heard := u.heard
	u.heard = nil
	u.mu.Unlock()
	if len(heard) == 0 {
		return nil
	}
	err := u.ix.GetAll(slices.Collect(maps.Keys(heard)), func(n replica.Node) error {
		u.add(replica.Item{Object: n.Key, Ops: heard[n.Key]})
		return nil
	})
	if err != nil {
		u.mu.Lock()
		for object, ops := range heard {
			u.hearLocked(object, ops)
		}
		u.mu.Unlock()
	}
	return err
}

// leads has an inode looked at by itself if the name under which something was reported on it does not lead to it.
func (b *batch) leads(f *find) {
	if f.reported != "" && (f.skip || f.key != f.reported) {
		b.u.add(replica.Item{Object: f.reported, Ops: f.ops})
	}
}

// followObjects looks at inodes, each under the first name on the replica that leads to it.
func (u *unit) followObjects(s *session, b *batch, items []replica.Item) error {
	dirs := make(map[weir.Handle]*tree.Dir)
	for _, i := range items {
		err := u.ix.NamesOf(i.Object, func(at replica.Name) (more bool, err error) {
			if at.Parent == replica.Parking {
				return true, nil
			}
			if follows, err := u.follows(b, at.Parent); err != nil || !follows {
				return true, err
			}
			dir := dirs[at.Parent]
			if dir == nil {
				if dir, err = s.sourceDir(u.ix, at.Parent); err == nil {
					dirs[at.Parent] = dir
					b.own(dir)
				}
			}
			found := false
			if err == nil {
				found, err = b.isAt(dir, at, i.Object)
			}
			if err = unlessVanished(err); err != nil {
				return true, u.dirProblem(s, u.ix, at.Parent, err)
			}
			if found {
				b.add(dir, at, i.Ops).reported = i.Object
			}
			return !found, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isAt reports whether a name of the source, which is not left out, is that of an inode.
func (b *batch) isAt(dir *tree.Dir, at replica.Name, object weir.Handle) (bool, error) {
	o, err := dir.Lookup(at.Name)
	if err != nil || b.s.keys.of(at, o) != object {
		return false, err
	}
	excluded, err := b.excluded(&find{at: at, object: o, key: object})
	return !excluded, err
}
