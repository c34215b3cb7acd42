package replicate

import (
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

const batchNames = 2048

// present carries out what events have reported and what has become due until now, and reports whether
// there was any. What comes meanwhile is left for the next call, so that a source that never rests does not
// keep a walk from going on.
func (u *unit) present(s *session) (some bool, err error) {
	if err := u.sift(); err != nil {
		return false, err
	}
	u.mu.Lock()
	u.dueLocked(time.Now())
	u.overflowedLocked()
	left := u.dirty.Len() + len(u.staged)
	u.mu.Unlock()
	for some = left > 0; left > 0 && s.err() == nil; {
		u.mu.Lock()
		items, staged := u.takeLocked(min(left, batchNames))
		n := len(items) + len(staged)
		u.mu.Unlock()
		if left -= n; n == 0 {
			break
		}
		err := u.follow(s, items, staged)
		u.mu.Lock()
		u.inHand -= n
		if err != nil && u.handSince.Before(u.dirtySince) {
			u.dirtySince = u.handSince // They are dirty again, and have waited all the while.
		}
		u.mu.Unlock()
		if err != nil {
			return some, err
		}
	}
	if err := s.err(); err != nil {
		return some, err
	}
	return some, u.reapDue(s)
}

// takeLocked takes finished copies of large files or, if there are none, some of what is dirty. u.mu is held.
func (u *unit) takeLocked(most int) (items []replica.Item, staged []*find) {
	staged, u.staged = u.staged, nil
	since := u.dirtySince
	if len(staged) > 0 {
		since = staged[0].since
	} else { // What has replaced a file that was copied finds it shown.
		items = u.dirty.Take(most)
	}
	if u.inHand == 0 {
		u.handSince = since
	}
	u.inHand += len(items) + len(staged)
	return items, staged
}

// takenSinceLocked returns since when what is being looked at has waited. u.mu is held.
func (u *unit) takenSinceLocked() time.Time {
	switch {
	case u.inHand > 0:
		return u.handSince
	case u.status.scanning:
		return u.status.scanStarted
	}
	return time.Now()
}

// follow looks at the items. What could not be looked at because the session ended is dirty again.
func (u *unit) follow(s *session, items []replica.Item, staged []*find) (err error) {
	rest := items
	defer func() {
		if err == nil {
			return
		}
		for _, i := range items {
			u.add(i)
		}
		for _, f := range staged {
			u.add(f.item(weir.OpModify))
		}
	}()
	b := u.newBatch(s, walkMode{})
	b.adoptStaged(staged)
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].Dir == rest[0].Dir {
			n++
		}
		if err := u.followDir(s, b, rest[:n]); err != nil {
			if err := u.dirProblem(s, u.ix, rest[0].Dir, err); err != nil {
				b.abandon()
				return err
			}
		}
		rest = rest[n:]
	}
	if err := b.finish(); err != nil {
		return err
	}
	if err := u.walk(s, b.lists, walkMode{followed: true}, false); err != nil {
		return err
	}
	return u.walk(s, b.trees, walkMode{audit: true, followed: true}, true)
}

// followDir looks at the items of one directory.
func (u *unit) followDir(s *session, b *batch, items []replica.Item) error {
	key := items[0].Dir
	if key == "" {
		return u.followObjects(s, b, items)
	}
	follows, err := u.follows(b, key)
	if err != nil || !follows {
		u.hear(items)
		u.stirredBeneath(key, items)
		return err
	}
	var dir *tree.Dir
	for _, i := range items {
		switch {
		case i.Whole:
			if i.Tree {
				b.trees = append(b.trees, key)
			} else {
				b.lists = append(b.lists, key)
			}
		case i.Name == "":
			b.touch(key)
		default:
			if dir == nil {
				if dir, err = s.sourceDir(u.ix, key); err != nil {
					u.hear(items)
					if unlessVanished(err) == nil {
						u.resolvedIn(key)
					}
					return unlessVanished(err)
				}
				b.own(dir)
			}
			b.add(dir, replica.Name{Parent: key, Name: i.Name}, i.Ops).reported = i.Object
		}
	}
	return nil
}

// follows reports whether names in a directory are looked at: it is a part of the place, and the replica has it.
func (u *unit) follows(b *batch, key weir.Handle) (bool, error) {
	if u.place.foreign.has(key) {
		return false, nil
	}
	if covered, _ := u.place.covers(key); covered {
		return false, nil // What happens below a mount is covered by it.
	}
	if key == b.s.root {
		return true, nil
	}
	node, known, err := u.ix.Get(key)
	if err != nil {
		return false, err
	}
	if !known {
		err := b.resolve(key)
		if err == nil {
			u.resolvedIn(key)
		}
		return false, err
	}
	if rules := &u.r.options.Rules; !rules.Empty() && rules.Excluded(b.s.path(u.ix, replica.Name{Parent: key}), true) {
		u.place.foreign.add(key) // It was copied before the rule was there.
		return false, nil
	}
	return node.Flags&replica.Pinned == 0, nil // What happens below a mount point that is not mounted is covered.
}
