package replicate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// unit keeps the replica of one place on one target.
type unit struct {
	r      *Replicator
	place  *place
	target *target.Target
	ix     *index.Replica
	wake   chan struct{} // holds one token

	// Owned by the unit's goroutine.
	gen       uint64                // batch that was recorded last
	intended  map[replica.Name]bool // names that an interrupted batch was changing
	failures  int                   // in a row, of opening or of the whole target
	reapAt    time.Time             // when parked nodes are asked again whether they live
	reaped    int                   // how often that was asked since anything was parked
	anyParked bool
	cleaned   bool   // what an earlier process left in the hidden directory was removed
	seenEpoch uint64 // of the target
	compared  uint64 // count of the target's rollbacks after which content was compared in full
	walkedFor uint64 // likewise, but for large files that may still be compared
	nested    bool   // a walk carries out what is dirty; walks that this calls for do not do so in turn

	keepIntents atomic.Uint64 // those up to this generation stay until an audit has ended

	privileges bool // the metadata of all files is set again: with or without privileges, as it was not before

	moved atomic.Int64 // when the work got on last, in nanoseconds since 1970

	barrier barrier
	bulk    *bulk

	mu         sync.Mutex
	dirty      replica.Dirty
	scan       scanRequest
	later      laterHeap
	settle     map[weir.Handle]settling
	hurry      bool                     // weir is being stopped: nothing is put off
	written    map[weir.Handle]struct{} // files that somebody could write when they were copied
	staged     []*find                  // copies of large files that are ready to be shown
	suspects   suspects                 // what the target may have lost
	busy       bool
	ask        bool      // whether the target is there
	dirtySince time.Time // when the set became dirty
	inHand     int       // places that were taken from it and are being looked at
	brake      *policy.Brake
	brakeMoved bool // since it was recorded
	refused    int  // how often the brake has said no
	regained   int  // how often what it had let go, or kept in its place, was found elsewhere
	missed     int  // how often a name could not be looked at or shown
	status     unitStatus
}

// scanRequest says that the whole place has to be walked.
type scanRequest struct {
	wanted bool
	full   bool   // content is compared even where the metadata agrees
	audit  bool   // the replica is looked at too
	reason string // a clause for the operator
}

// reasonBlind asks for the walk that volumes without events get at every interval: while it finds nothing it is no news.
const reasonBlind = "its volume reports no events"

// scanWanted asks for a walk of the whole place.
func (u *unit) scanWanted(req scanRequest) {
	u.mu.Lock()
	u.scan.wanted = true
	u.scan.full = u.scan.full || req.full
	u.scan.audit = u.scan.audit || req.audit
	u.scan.reason = req.reason
	u.mu.Unlock()
	u.poke()
}

// add marks a place as dirty.
func (u *unit) add(i replica.Item) {
	u.mu.Lock()
	u.addLocked(i)
	u.mu.Unlock()
}

func (u *unit) addLocked(i replica.Item) {
	if u.dirty.Len() == 0 && !u.busy {
		u.dirtySince = time.Now()
	}
	u.dirty.Add(i)
}

// poke wakes the unit's goroutine.
func (u *unit) poke() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

var retries = replica.Backoff{First: 250 * time.Millisecond, Max: 30 * time.Second}

// run follows the place until ctx ends.
func (u *unit) run(ctx context.Context) {
	var lane sync.WaitGroup
	lane.Go(func() { u.bulk.run(ctx) })
	defer lane.Wait()
	defer u.barrier.wait()
	for {
		wait := u.untilNext(time.Now())
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-u.wake:
				timer.Stop()
			case <-timer.C:
			}
			continue // What has become due has to count as busy before it is taken.
		}
		if ctx.Err() != nil {
			return
		}
		u.round(ctx)
	}
}

const idle = time.Hour

// untilNext returns how long nothing has to be done; 0 if there is work.
func (u *unit) untilNext(now time.Time) time.Duration {
	unwanted := u.early() || u.r.leftOutBy(u.place) != ""
	_, volume, _ := u.place.at()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dueLocked(now)
	if wait := u.status.retryAt.Sub(now); wait > 0 {
		return wait
	}
	if unwanted {
		u.busy = false
		return idle
	}
	u.overflowedLocked()
	// A target that was away is asked for although nothing is to be done: it may be there again.
	ask := u.ask || u.status.outage != nil && volume != nil
	if u.scan.wanted || u.dirty.Len() > 0 || len(u.staged) > 0 || ask {
		if !u.busy {
			u.moves()
		}
		u.busy, u.ask = true, false
		return 0
	}
	u.busy = false
	wait := idle
	if u.anyParked {
		wait = u.reapAt.Sub(now)
	}
	if next, ok := u.later.next(); ok {
		wait = min(wait, next.Sub(now))
	}
	if wait <= 0 && u.anyParked {
		return 0
	}
	return max(wait, time.Millisecond)
}

// dueLocked makes dirty what was put off until now. u.mu is held.
func (u *unit) dueLocked(now time.Time) {
	u.later.due(now, u.addLocked)
	if u.later.walkDue(now) {
		u.scan.wanted = true
		u.scan.reason = "what is not remembered name by name is looked for"
	}
}

// overflowedLocked asks for a walk if more was dirty than is remembered one by one. u.mu is held.
func (u *unit) overflowedLocked() {
	if u.dirty.All() {
		u.scan.wanted = true
		u.scan.reason = "more changes than are remembered one by one"
	}
}

// round opens a session and works until nothing is dirty or something ends it.
func (u *unit) round(ctx context.Context) {
	s, err := u.open(ctx)
	if err != nil {
		u.outage(err)
		return
	}
	u.recovered()
	err = u.work(s)
	s.forget()
	s.release()
	switch {
	case err == nil || errors.Is(err, errGone):
	case ctx.Err() != nil:
	default:
		u.outage(err)
	}
}

// work carries out everything that is due.
func (u *unit) work(s *session) error {
	if err := u.cleanTemps(s); err != nil {
		return err
	}
	if err := u.freshTarget(); err != nil {
		return err
	}
	for s.err() == nil {
		u.mu.Lock()
		scan := u.scan
		u.mu.Unlock()
		if _, err := u.prepareAudit(s, scan); err != nil {
			return err
		}
		more, err := u.present(s)
		if err != nil {
			return err
		}
		u.mu.Lock()
		scan = u.scan
		u.mu.Unlock()
		switch {
		case scan.wanted:
			if err := u.walkAll(s, scan); err != nil {
				return err
			}
		case !more:
			return u.saveCompared()
		}
	}
	return errGone
}

// freshTarget asks for a scan if the target has come back or is older than the index.
func (u *unit) freshTarget() error {
	epoch, _ := u.target.Epochs()
	if epoch == u.seenEpoch {
		return nil
	}
	u.seenEpoch = epoch
	u.doubt(u.gen, false)
	u.scanWanted(scanRequest{audit: true, full: u.owesContent(), reason: "the target has come back"})
	return nil
}

const batchNames = 2048

// present carries out what events have reported and what has become due until now, and reports whether
// there was any. What comes meanwhile is left for the next call, so that a source that never rests does not
// keep a walk from going on.
func (u *unit) present(s *session) (some bool, err error) {
	u.mu.Lock()
	u.dueLocked(time.Now())
	u.overflowedLocked()
	left := u.dirty.Len() + len(u.staged)
	u.mu.Unlock()
	for some = left > 0; left > 0 && s.err() == nil; {
		u.mu.Lock()
		var items []replica.Item
		staged := u.staged
		if u.staged = nil; len(staged) == 0 { // What has replaced a file that was copied finds it shown.
			items = u.dirty.Take(min(left, batchNames))
		}
		n := len(items) + len(staged)
		u.inHand += n
		u.mu.Unlock()
		if left -= n; n == 0 {
			break
		}
		err := u.follow(s, items, staged)
		u.mu.Lock()
		u.inHand -= n
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
			u.add(replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: weir.OpModify})
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
	if err := u.walk(s, b.lists, walkMode{}, false); err != nil {
		return err
	}
	return u.walk(s, b.trees, walkMode{audit: true}, true)
}

// toldFailures is how many failures in a row are worth a word: at the start a unit may be earlier than the
// news of its volume.
const toldFailures = 2

// strayFailures is how many failures in a row to reach a source may be because its mount is elsewhere now.
const strayFailures = 6

// outage records that nothing can be done now, and when to try again.
func (u *unit) outage(err error) {
	u.failures++
	delay := retries.Delay(u.failures)
	u.mu.Lock()
	u.status.outage = err
	if u.status.outageSince.IsZero() {
		u.status.outageSince = time.Now()
	}
	u.status.retryAt = time.Now().Add(delay)
	u.mu.Unlock()
	var e *weir.Error
	if errors.As(err, &e) && e.Op == opSource && u.failures < strayFailures {
		time.AfterFunc(delay/2, u.r.mountsChanged) // A directory above the mount may have been renamed.
	}
	if u.failures == toldFailures && !errors.Is(err, errHeld) { // Of that it was told for all targets.
		reason := err.Error()
		if targetIsAway(err) {
			reason = absence(err)
		}
		u.r.log.Warn("replica waits", "place", u.place.label(), "target", weir.LogPath(u.target.Path()), "reason", reason)
	}
	u.r.changed()
}

func (u *unit) recovered() {
	u.mu.Lock()
	was := u.status.outage
	u.status.outage, u.status.outageSince, u.status.retryAt = nil, time.Time{}, time.Time{}
	u.mu.Unlock()
	if u.failures >= toldFailures && was != nil {
		u.r.log.Info("replica goes on", "place", u.place.label(), "target", weir.LogPath(u.target.Path()))
		u.r.changed()
	}
	u.failures = 0
}

// load reads the unit's generation, and the names that an interrupted batch was changing.
func (u *unit) load() error {
	var settled uint64
	for key, to := range map[string]*uint64{metaGen: &u.gen, metaSettled: &settled} {
		text, err := u.ix.Meta(key)
		if err != nil {
			return err
		}
		if text != nil {
			if *to, err = strconv.ParseUint(string(text), 10, 64); err != nil {
				return fmt.Errorf("read %s of the index: %w", key, err)
			}
		}
	}
	u.barrier.settled.Store(settled)
	u.barrier.shown = settled
	if err := u.loadBrake(); err != nil {
		return err
	}
	if err := u.loadPrivileges(); err != nil {
		return err
	}
	if err := u.loadCompared(); err != nil {
		return err
	}
	// A batch that was interrupted before it was recorded has used a generation too.
	last, err := u.loadIntents()
	u.gen = max(u.gen, last)
	u.suspectLocked(u.gen, false) // Nobody else has the unit yet.
	return err
}

// Names of the unit's values in the index.
const (
	metaGen     = "gen"
	metaSettled = "settled"
	metaIntent  = "intent/"
	metaRoot    = "root"
)

// rootNames returns the components from the target's root to where this unit's place is.
func (u *unit) rootNames() ([]string, error) {
	if u.place.parent == nil {
		return nil, nil
	}
	up := u.r.unitOf(u.place.parent, u.target)
	above, err := up.rootNames()
	if err != nil {
		return nil, err
	}
	_, _, root := u.place.parent.at()
	u.place.mu.Lock()
	key := u.place.mountKey
	u.place.mu.Unlock()
	own, parked, ok, err := names(up.ix, root, key)
	if err != nil {
		return nil, err
	}
	node, known, err := up.ix.Get(key)
	if err != nil {
		return nil, err
	}
	if !ok || parked || !known || node.Flags&replica.Pinned == 0 {
		return nil, &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: string(u.place.label()),
			Err: errNoPoint}
	}
	return append(above, own...), nil
}

// followDir looks at the items of one directory.
func (u *unit) followDir(s *session, b *batch, items []replica.Item) error {
	key := items[0].Dir
	if u.place.foreign.has(key) {
		return nil
	}
	if covered, _ := u.place.covers(key); covered {
		return nil // What happens below a mount is covered by it.
	}
	if key != s.root {
		node, known, err := u.ix.Get(key)
		if err != nil {
			return err
		}
		if !known {
			err := b.resolve(key)
			if err == nil {
				u.resolvedIn(key)
			}
			return err
		}
		if rules := &u.r.options.Rules; !rules.Empty() && rules.Excluded(s.path(u.ix, replica.Name{Parent: key}), true) {
			u.place.foreign.add(key) // It was copied before the rule was there.
			return nil
		}
		if node.Flags&replica.Pinned != 0 {
			return nil // What happens below a mount point that is not mounted is covered.
		}
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
				var err error
				if dir, err = s.sourceDir(u.ix, key); err != nil {
					if unlessVanished(err) == nil {
						u.resolvedIn(key)
					}
					return unlessVanished(err)
				}
				b.own(dir)
			}
			b.add(dir, replica.Name{Parent: key, Name: i.Name}, i.Ops)
		}
	}
	return nil
}
