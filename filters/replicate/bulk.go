package replicate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// bulk copies a unit's large files, one at a time and beside its batches, so that they delay nothing
// else. Each inode stands in the queue once.
type bulk struct {
	u    *unit
	wake chan struct{}

	// Guarded by u.mu.
	queue  []*find
	queued map[weir.Handle]bool
	now    *find
	missed []replica.Item // names of files that stand in the queue, and changes while they are copied
	more   bool           // a walk has to find what has no room here
	since  uint64         // temporaries with larger numbers are those of now; 0 while nothing is copied
}

func newBulk(u *unit) *bulk {
	return &bulk{u: u, wake: make(chan struct{}, 1), queued: make(map[weir.Handle]bool)}
}

// maxBulk bounds the queue, and the names that are looked at again after it.
const maxBulk = 4096

// enqueue has a file copied. What is reported of a file that stands in the queue is looked at when it was copied: it
// may be another name of it, or a change that comes behind the reader. So is a file that takes the name of the one
// that is being copied.
func (l *bulk) enqueue(f *find) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	same := slices.IndexFunc(l.queue, func(q *find) bool { return q.at == f.at })
	copied := &find{at: f.at, ops: f.ops, key: f.key, object: f.object, work: f.work, exists: f.exists, mode: f.mode, since: l.u.takenSinceLocked()}
	switch {
	case l.now != nil && (l.now.key == f.key || l.now.at == f.at), l.queued[f.key] && (same < 0 || l.queue[same].key != f.key):
		l.missedLocked(f.item(f.ops))
		return
	case l.queued[f.key]:
		return
	case same >= 0: // That one has been replaced before its turn.
		delete(l.queued, l.queue[same].key)
		l.queue[same] = copied
	case len(l.queue) >= maxBulk:
		l.more = true
		return
	default:
		l.queue = append(l.queue, copied)
	}
	l.queued[f.key] = true
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *bulk) missedLocked(i replica.Item) {
	if len(l.missed) < maxBulk {
		l.missed = append(l.missed, i)
		return
	}
	l.more = true
}

// finishedLocked has looked at what was put off until a file was copied. u.mu is held.
func (l *bulk) finishedLocked(f *find, err error) {
	delete(l.queued, f.key)
	for _, i := range l.missed {
		if err == nil {
			l.u.addLocked(i)
		} else {
			l.u.later.owe(time.Now().Add(retries.First), i)
		}
	}
	l.missed = nil
	if l.more && len(l.queue) == 0 {
		l.more = false
		l.u.scan.wanted = true
		l.u.scan.reason = "more large files than are remembered one by one"
	}
}

// busyLocked reports whether files wait or are being copied. u.mu is held.
func (l *bulk) busyLocked() bool { return len(l.queue) > 0 || l.now != nil }

// run copies until ctx ends.
func (l *bulk) run(ctx context.Context) {
	for {
		l.u.mu.Lock()
		if l.now, l.since = nil, 0; len(l.queue) > 0 {
			l.now, l.queue = l.queue[0], l.queue[1:]
			l.since = l.u.r.temps.Load()
		}
		f := l.now
		l.u.mu.Unlock()
		if f == nil {
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
				continue
			}
		}
		start := time.Now()
		err := l.copy(ctx, f)
		l.u.mu.Lock()
		l.finishedLocked(f, err)
		if err == nil {
			l.u.staged = append(l.u.staged, f)
		}
		l.u.mu.Unlock()
		if err != nil {
			l.failed(ctx, f, err, time.Since(start))
		}
		l.u.poke()
		if ctx.Err() != nil {
			return
		}
	}
}

// maxSettle is the longest time for which a file is left in peace after a dear copy that failed.
const maxSettle = time.Minute

// failed has the file looked at again: at once when the volumes are back, or later with a reason. A target that is
// full must not be filled with the same large file all the time.
func (l *bulk) failed(ctx context.Context, f *find, err error, took time.Duration) {
	item := f.item(weir.OpModify)
	if ctx.Err() != nil || errors.Is(err, errGone) || weir.KindOf(err) == weir.KindAbsent {
		l.u.mu.Lock()
		l.u.later.owe(time.Now().Add(retries.First), item)
		l.u.mu.Unlock()
		return
	}
	l.u.problem(l.u.path(l.u.ix, f.at), f, err)
	if wait := min(replica.Settle(took), maxSettle); wait > 0 && !errors.Is(err, errVanished) {
		l.u.mu.Lock()
		l.u.settle[f.key] = settling{at: f.at, until: time.Now().Add(wait)}
		l.u.mu.Unlock()
	}
}

// copy makes one stable version of the file in a temporary.
func (l *bulk) copy(ctx context.Context, f *find) error {
	s, err := l.u.open(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	src, err := l.openSource(s, f)
	if err != nil {
		return unlessGone(err)
	}
	defer src.Close()
	f.copied, err = s.version(l.u, src, f, true)
	if err != nil && (s.err() != nil || s.broken(err)) {
		return errGone
	}
	return err
}

func (l *bulk) openSource(s *session, f *find) (*tree.File, error) {
	if h, ok := s.keys.handle(f.key); ok {
		return s.src.OpenFileHandle(h)
	}
	dir, err := s.sourceDir(l.u.ix, f.at.Parent)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.OpenFile(f.at.Name)
}

// adoptStaged adds finished copies of large files to the batch, where the source still has the file.
func (b *batch) adoptStaged(staged []*find) {
	for _, f := range staged {
		if err := b.adopt(f); err != nil {
			b.u.r.log.Debug("a copy is dropped", "name", weir.LogPath(f.at.Name), "reason", err)
			temp := f.copied.temp
			if temp != "" {
				_ = b.s.dst.Tmp.Unlink(temp) // What is left is removed at the next start.
			}
			b.u.add(f.item(weir.OpModify))
		}
	}
}

func (b *batch) adopt(f *find) error {
	if node, known, err := b.u.ix.Get(f.key); err != nil {
		return err
	} else if known {
		// It may have been renamed meanwhile.
		at, ok, err := anyName(b.u.ix, node)
		if err != nil || !ok {
			return fmt.Errorf("no name: %w", err)
		}
		f.at = at
		f.object = f.copied.version
		f.settledPlace = true
		b.finds = append(b.finds, f)
		b.after(f)
		return nil
	}
	dir, err := b.s.sourceDir(b.u.ix, f.at.Parent)
	if err != nil {
		return err
	}
	b.own(dir)
	o, err := dir.Lookup(f.at.Name)
	if err != nil {
		return err
	}
	if b.s.keys.of(f.at, o) != f.key {
		// A file that is replaced more often than it can be copied is shown as it was.
		alive, err := b.s.alive(f.key)
		if err != nil || alive || !o.IsFile() {
			return errors.Join(err, errVanished)
		}
		o = f.copied.version
	}
	f.dir, f.object = dir, o
	b.finds = append(b.finds, f)
	b.after(f)
	return nil
}

// Drain ends the intake of events, and has what was put off done now: what keeps changing is copied once
// more, what failed is tried.
func (r *Replicator) Drain() {
	r.draining.Store(true)
	for _, u := range r.allUnits() {
		u.mu.Lock()
		u.hurry = true
		u.later.due(time.Now().Add(idle), u.addLocked)
		u.mu.Unlock()
		u.poke()
	}
}
