package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

const (
	// walkChunk is how many names of a walk make a batch.
	walkChunk = 2048
	// maxSeen is how many names of one directory are remembered while it is compared. Beyond that each
	// name that the replica has is looked up on the source.
	maxSeen = 1 << 18
)

// walkAll compares the whole place, names and metadata, and reads content only where those do not prove
// that it is the same. Between chunks it carries out what events report meanwhile.
func (u *unit) walkAll(s *session, scan scanRequest) (err error) {
	u.mu.Lock()
	u.scan = scanRequest{}
	u.status.scanning, u.status.scanReason = true, scan.reason
	u.mu.Unlock()
	u.r.changed()
	from := u.gen
	if err := u.takeRoot(s); err != nil {
		return err
	}
	defer func() {
		u.mu.Lock()
		u.status.scanning = false
		if err != nil {
			u.scan.wanted, u.scan.full = true, u.scan.full || scan.full
			u.scan.audit = u.scan.audit || scan.audit
			u.scan.reason = scan.reason
		}
		u.mu.Unlock()
		u.r.changed()
	}()
	if err := u.walkTree(s, s.root, walkMode{scan: true, full: scan.full, audit: scan.audit}); err != nil {
		return err
	}
	return u.walked(s, from)
}

// takeRoot hands the entries of the former volume's root over to that of the volume that took its place.
func (u *unit) takeRoot(s *session) error {
	u.mu.Lock()
	old := u.oldRoot
	u.mu.Unlock()
	if old == "" || old == s.root {
		return nil
	}
	b := u.newBatch(s, walkMode{})
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	if err := b.reparent(old, s.root); err != nil {
		return err
	}
	b.ix.Delete(old)
	if err := b.ix.Commit(true); err != nil {
		return err
	}
	u.mu.Lock()
	u.oldRoot = ""
	u.mu.Unlock()
	return nil
}

// walked ends a walk of the whole place: what is still parked has left the place for good.
func (u *unit) walked(s *session, from uint64) error {
	if err := u.live(s); err != nil {
		return err
	}
	if err := u.reap(s, from); err != nil {
		return err
	}
	u.intended = nil
	u.mu.Lock()
	u.status.scans++
	u.status.lastScan = time.Now()
	u.mu.Unlock()
	u.r.scanned(u)
	return nil
}

// walkTree walks a directory and all below it.
func (u *unit) walkTree(s *session, top weir.Handle, mode walkMode) error {
	stack := []weir.Handle{top}
	for len(stack) > 0 {
		key := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		subs, err := u.walkDir(s, key, mode)
		if err != nil {
			return err
		}
		for i := len(subs) - 1; i >= 0; i-- {
			stack = append(stack, subs[i])
		}
		if top == s.root {
			if err := u.liveBetween(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// liveBetween carries out what events have reported, if they have.
func (u *unit) liveBetween(s *session) error {
	u.mu.Lock()
	waiting := u.dirty.Len() > 0 || len(u.staged) > 0
	u.mu.Unlock()
	if !waiting {
		return s.err()
	}
	return u.live(s)
}

// dirWalk compares one directory.
type dirWalk struct {
	u       *unit
	s       *session
	key     weir.Handle
	mode    walkMode
	src     *tree.Dir
	seen    map[string]struct{} // nil once it would be too large
	unknown map[string]bool
	b       *batch
	subs    []weir.Handle
}

// walkDir compares a directory and returns its subdirectories. Trouble with the directory itself is noted
// and leaves the others alone.
func (u *unit) walkDir(s *session, key weir.Handle, mode walkMode) ([]weir.Handle, error) {
	src, err := s.sourceDir(u.ix, key)
	if err != nil {
		if unlessVanished(err) == nil {
			return nil, nil
		}
		return nil, u.dirProblem(s, key, err)
	}
	defer src.Close()
	w := &dirWalk{u: u, s: s, key: key, mode: mode, src: src, seen: make(map[string]struct{})}
	if mode.audit {
		if w.unknown, err = u.audit(s, key); err != nil {
			return nil, u.dirProblem(s, key, err)
		}
	}
	w.b = w.batch()
	w.b.touch(key)
	listed := src.List(func(name string, _ uint32) error { return w.name(name) })
	if s.err() != nil {
		w.b.discard()
		return nil, errGone
	}
	if listed == nil {
		listed = w.absences()
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	if listed != nil {
		return nil, u.dirProblem(s, key, listed)
	}
	u.mu.Lock()
	u.status.walkedDirs++
	u.mu.Unlock()
	return w.subs, nil
}

// dirProblem notes that a directory cannot be compared; what the replica has of it stays.
func (u *unit) dirProblem(s *session, key weir.Handle, err error) error {
	if s.err() != nil || errors.Is(err, errGone) || broken(err) {
		return err
	}
	at := replica.Name{Parent: key}
	u.problem(s.path(u.ix, at), &find{at: at}, fmt.Errorf("read directory: %w", err))
	return nil
}

func (w *dirWalk) batch() *batch {
	b := w.u.newBatch(w.s, w.mode)
	b.unknown = w.unknown
	return b
}

// name takes one name of the listing.
func (w *dirWalk) name(name string) error {
	if w.seen != nil {
		if w.seen[name] = struct{}{}; len(w.seen) > maxSeen {
			w.seen = nil
		}
	}
	w.b.add(w.src, replica.Name{Parent: w.key, Name: name}, 0)
	if len(w.b.finds) < walkChunk {
		return w.s.err()
	}
	return w.flush()
}

// flush shows what was collected, and begins anew.
func (w *dirWalk) flush() error {
	b := w.b
	w.b = w.batch()
	if err := b.finish(); err != nil {
		return err
	}
	w.u.r.counters.seen.Add(int64(len(b.finds)))
	for _, f := range b.finds {
		if f.skip || f.absent || f.covered || f.problem != nil || !f.object.IsDir() {
			continue
		}
		if node, ok, err := w.u.ix.Get(f.key); err != nil {
			return err
		} else if ok && node.Flags&replica.Pinned == 0 {
			w.subs = append(w.subs, f.key)
		}
	}
	return nil
}

// absences looks up each name that the replica has and the listing did not show: a listing of a busy
// directory misses names that exist, so the lookup is the proof. Then what nobody knows is set aside.
func (w *dirWalk) absences() error {
	err := w.u.ix.Children(w.key, "", func(name string, _ weir.Handle) (bool, error) {
		if _, ok := w.seen[name]; ok && w.seen != nil {
			return true, nil
		}
		w.b.add(w.src, replica.Name{Parent: w.key, Name: name}, 0)
		if len(w.b.finds) < walkChunk {
			return true, nil
		}
		return true, w.flush()
	})
	if err != nil {
		return err
	}
	for name := range w.unknown {
		if _, err := w.src.Lookup(name); errors.Is(err, fs.ErrNotExist) {
			w.b.strays = append(w.b.strays, replica.Name{Parent: w.key, Name: name})
		}
	}
	return nil
}
