package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

const (
	// walkChunk is how many names of a walk make a batch.
	walkChunk = 2048
	// walkTime is how long a batch of a walk copies, so that what is copied is shown, and counted, soon.
	walkTime = 250 * time.Millisecond
	// maxSeen is how many names of one directory are remembered while it is compared. Beyond that each
	// name that the replica has is looked up on the source.
	maxSeen = 1 << 18
)

// walk compares directories, and with deep all below them. Names of several directories make one batch, and
// while one batch is made durable and shown, the next is looked at and copied. Between batches it carries out
// what events have reported meanwhile.
func (u *unit) walk(s *session, dirs []weir.Handle, mode walkMode, deep bool) error {
	mode.scan, mode.descends = true, deep
	w := &walker{u: u, s: s, mode: mode}
	for _, key := range dirs {
		w.stack = append(w.stack, visit{key: key, known: true})
	}
	w.b = u.newBatch(s, mode)
	err := w.run()
	w.b.abandon()
	return errors.Join(err, w.settle())
}

func (w *walker) run() error {
	for {
		for len(w.stack) > 0 && len(w.b.finds) < walkChunk && len(w.b.opened) < maxOpenDirs {
			next := w.stack[len(w.stack)-1]
			w.stack = w.stack[:len(w.stack)-1]
			if err := w.dir(next); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
		if len(w.stack) == 0 && len(w.b.finds) == 0 {
			if done, err := w.passedBy(); done || err != nil {
				return err
			}
		}
		if err := w.live(); err != nil {
			return err
		}
	}
}

// passedBy has the walk go to what it has passed by, when the last batch has told what has moved, and reports whether there is
// nothing.
func (w *walker) passedBy() (done bool, err error) {
	if !w.mode.whole {
		return true, nil
	}
	if err := w.settle(); err != nil {
		return false, err
	}
	w.stack = w.u.passedBy()
	return len(w.stack) == 0, nil
}

// live carries out what events have reported, when the batch in flight has ended.
func (w *walker) live() error {
	if !w.u.waiting() {
		return w.s.err()
	}
	if err := w.settle(); err != nil {
		return err
	}
	return w.u.liveBetween(w.s)
}

// settle waits for the batch in flight.
func (w *walker) settle() error {
	if w.flying == nil {
		return nil
	}
	err := <-w.flying
	w.flying = nil
	return err
}

// waiting reports whether events have reported anything. What is heard of inodes can wait a little: most of it is nothing.
func (u *unit) waiting() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dirty.Len() > 0 || len(u.staged) > 0 || len(u.heard) > 0 && time.Since(u.heardSince) > walkTime
}

// liveBetween carries out what events have reported while a walk goes on.
func (u *unit) liveBetween(s *session) error {
	if u.nested {
		return s.err()
	}
	u.nested = true
	defer func() { u.nested = false }()
	_, err := u.present(s)
	return err
}

// walker compares directories one after the other.
type walker struct {
	u     *unit
	s     *session
	mode  walkMode
	stack []visit // directories to come
	b     *batch  // names that are collected

	// The batch that is being shown, which owns the session's open directories and the unit's state
	// until it has ended.
	flying chan error
}

// visit is a directory that is to be walked.
type visit struct {
	key   weir.Handle
	known bool // where it was found, already before the batch that found it was shown
	fresh bool // the replica did not have it when it was found: nothing of it can be on the target
}

// dir adds the names of one directory. Trouble with the directory itself is noted and leaves the others
// alone.
func (w *walker) dir(v visit) error {
	key := v.key
	if covered, _ := w.u.place.covers(key); covered || w.mode.whole && w.u.saw(key) {
		return nil
	}
	src, err := w.source(v)
	if err != nil {
		if unlessVanished(err) == nil {
			w.u.resolvedIn(key)
			return nil
		}
		return w.problem(key, err)
	}
	d := &dirWalk{w: w, key: key, src: src, seen: make(map[string]struct{})}
	w.b.own(src)
	defer func() { w.b.keepOpen(nil) }()
	w.b.keepOpen(src)
	if w.mode.audit && !v.fresh {
		if err := w.settle(); err != nil {
			return err
		}
		if d.audited, err = w.u.audit(w.s, key); err != nil {
			return w.problem(key, err)
		}
	}
	listed := src.List(func(name string, _ uint32) error { return d.name(name) })
	if w.s.err() != nil {
		return errGone
	}
	if d.failed != nil {
		return d.failed
	}
	if listed == nil {
		listed = d.absences()
	}
	w.b.touch(key)
	if d.failed != nil {
		return d.failed
	}
	if errors.Is(listed, fs.ErrNotExist) {
		w.u.resolvedIn(key)
		return nil // It was removed while it was open, which is being reported.
	}
	if listed != nil {
		return w.problem(key, listed)
	}
	w.u.sees(key, w.mode)
	w.u.resolved(replica.Name{Parent: key})
	w.u.r.counters.dirs.Add(1)
	return nil
}

// source opens a directory of the source.
func (w *walker) source(v visit) (*tree.Dir, error) {
	if w.late(v) {
		if err := w.settle(); err != nil {
			return nil, err
		}
	}
	return w.s.sourceDir(w.u.ix, v.key)
}

// flush shows what was collected, and begins anew.
func (w *walker) flush() error {
	b := w.b
	w.b = w.u.newBatch(w.s, w.mode)
	b.stageFor(walkTime)
	b.pass(w.b)
	if b.open != nil { // The directory that is being listed goes on in the next batch.
		if !slices.Contains(w.b.opened, b.open) {
			w.b.own(b.open)
		}
		w.b.keepOpen(b.open)
	}
	w.u.r.counters.seen.Add(int64(len(b.finds)))
	if err := errors.Join(w.push(b), w.settle()); err != nil {
		b.abandon()
		return err
	}
	w.flying = make(chan error, 1)
	go func(done chan<- error) { done <- b.conclude() }(w.flying)
	return nil
}

// push adds the directories that a batch has found to those to come, the first on top.
func (w *walker) push(b *batch) error {
	if !w.mode.descends {
		return nil
	}
	for i := len(b.finds) - 1; i >= 0; i-- {
		f := b.finds[i]
		if f.skip || f.absent || f.covered || f.problem != nil || !f.object.IsDir() {
			continue
		}
		key, taken := f.key, true
		if f.isNew {
			var err error
			if key, taken, err = w.u.ix.Child(f.at.Parent, f.at.Name); err != nil {
				return err
			}
		}
		// It may be the mount point of a volume that is away, or have been made anew as that.
		if node, _, err := w.u.ix.Get(key); err != nil {
			return err
		} else if !taken || node.Flags&replica.Pinned == 0 {
			known := !f.isNew && slices.Contains(node.Names, f.at)
			w.stack = append(w.stack, visit{key: f.key, known: known, fresh: !taken && !f.exists})
		}
	}
	return nil
}

// late reports whether a directory can be looked at only when the batch that found it was shown: it takes over what
// the replica has in another one, or it is found by way of the replica's names, or rules ask for those.
func (w *walker) late(v visit) bool {
	if v.known {
		return false
	}
	_, handle := w.s.keys.handle(v.key)
	return !v.fresh || !handle || w.u.r.options.Rules.NeedsPath()
}

// problem notes that a directory cannot be compared, once the batch that may have made it has told its name.
func (w *walker) problem(key weir.Handle, err error) error {
	if err := w.settle(); err != nil {
		return err
	}
	return w.u.dirProblem(w.s, w.u.ix, key, err)
}

// dirProblem notes that a directory cannot be compared; what the replica has of it stays.
func (u *unit) dirProblem(s *session, ix nodes, key weir.Handle, err error) error {
	if s.err() != nil || errors.Is(err, errGone) || s.broken(err) {
		return err
	}
	at := replica.Name{Parent: key}
	path, _, known := s.where(ix, at)
	if !known {
		u.passedOver()
		return nil // It could not be made, of which it was told; when it is, it is walked.
	}
	u.problem(path, &find{at: at}, fmt.Errorf("read directory: %w", err))
	return nil
}

// dirWalk compares one directory.
type dirWalk struct {
	w       *walker
	key     weir.Handle
	src     *tree.Dir
	seen    map[string]struct{} // nil once it would be too large
	audited audited
	failed  error // of a batch in between
}

// name takes one name of the listing.
func (d *dirWalk) name(name string) error {
	if d.seen != nil {
		if d.seen[name] = struct{}{}; len(d.seen) > maxSeen {
			d.seen = nil
		}
	}
	return d.add(name)
}

func (d *dirWalk) add(name string) error {
	f := d.w.b.add(d.src, replica.Name{Parent: d.key, Name: name}, 0)
	f.exists, f.audited, f.version = d.audited.unknown[name], d.audited.nodes[name], d.audited.version
	if len(d.w.b.finds) < walkChunk {
		return d.w.s.err()
	}
	if d.failed = d.w.flush(); d.failed == nil {
		d.failed = d.w.live()
	}
	return d.failed
}

// absences looks up each name that the replica has and the listing did not show: a listing of a busy
// directory misses names that exist, so the lookup is the proof. Likewise what nobody knows, which is set aside.
func (d *dirWalk) absences() error {
	err := d.w.u.ix.Children(d.key, "", func(name string, _ weir.Handle) (bool, error) {
		if _, ok := d.seen[name]; ok {
			return true, nil
		}
		return true, d.add(name)
	})
	if err != nil {
		return err
	}
	for name := range d.audited.unknown {
		if _, ok := d.seen[name]; ok {
			continue
		}
		if err := d.add(name); err != nil {
			return err
		}
	}
	return nil
}
