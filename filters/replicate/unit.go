package replicate

import (
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
	began     uint64                // likewise, when this process began
	intended  map[replica.Name]bool // names that an interrupted batch was changing
	wandered  map[weir.Handle]bool  // directories that have moved since those were read
	amended   bool                  // something was put right while there were intended names
	failures  int                   // in a row, of opening or of the whole target
	told      bool                  // that they last
	reapAt    time.Time             // when parked nodes are asked again whether they live
	reaped    int                   // how often that was asked since anything was parked
	anyParked bool
	cleaned   bool   // what an earlier process left in the hidden directory was removed
	seenEpoch uint64 // of the target
	compared  uint64 // count of the target's rollbacks after which content was compared in full
	walkedFor uint64 // likewise, but for large files that may still be compared
	nested    bool   // a walk carries out what is dirty; walks that this calls for do not do so in turn

	keepIntents atomic.Uint64 // those up to this generation stay until an audit has ended

	privileges string // how all files were copied; empty until the first walk has ended

	running atomic.Bool // its goroutine has not ended

	moved atomic.Int64 // when the work got on last, in nanoseconds since 1970

	barrier barrier
	bulk    *bulk

	mu         sync.Mutex
	dirty      replica.Dirty
	heard      map[weir.Handle]weir.Ops // what was reported on inodes of which it is not known whether the replica has them
	heardSince time.Time                // when the first of them came
	scan       scanRequest
	later      laterHeap
	settle     map[weir.Handle]settling
	hurry      bool                     // weir is being stopped: nothing is put off
	written    map[weir.Handle]struct{} // files that somebody could write when they were copied
	staged     []*find                  // copies of large files that are ready to be shown
	suspects   suspects                 // what the target may have lost
	busy       bool
	ask        bool      // whether source and target are there
	dirtySince time.Time // when the set became dirty
	inHand     int       // places that were taken from it and are being looked at
	handSince  time.Time // since when the oldest of them had waited
	brake      *policy.Brake
	brakeMoved bool     // since it was recorded
	regained   int      // how often what it had let go, or kept in its place, was found elsewhere
	missed     int      // how often a name could not be looked at or shown
	passage    *passage // nil if there was no walk of the whole place for a while
	status     unitStatus
}

// add marks a place as dirty.
func (u *unit) add(i replica.Item) {
	u.mu.Lock()
	u.addLocked(i)
	u.mu.Unlock()
}

func (u *unit) addLocked(i replica.Item) {
	if u.dirty.Len() == 0 {
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

// seek has a unit see whether source and target are there. It is to be woken for that.
func (u *unit) seek() {
	u.mu.Lock()
	u.ask = true
	u.mu.Unlock()
}

// tryNow has a unit that waits after a failure try again.
func (u *unit) tryNow() {
	u.mu.Lock()
	u.status.retryAt = time.Time{}
	u.mu.Unlock()
	u.poke()
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
	_, last, err := u.loadIntents()
	u.gen = max(u.gen, last)
	u.began = u.gen
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
	key := u.place.anchor()
	own, parked, ok, err := names(up.ix, root, key)
	if err != nil {
		return nil, err
	}
	node, known, err := up.ix.Get(key)
	if err != nil {
		return nil, err
	}
	if !ok || parked || !known || node.Flags&replica.Pinned == 0 {
		return nil, &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: string(u.r.label(u.place)),
			Err: errNoPoint}
	}
	return append(above, own...), nil
}
