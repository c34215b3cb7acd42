package volume

import (
	"context"
	"time"

	"github.com/weirfs/weir/internal/sys/mount"
)

// Remounts make no event, only a change of mountinfo, which mounts make too. So with events every mount is
// looked at again a little after the table has changed, and not more often than costs a twentieth of a core.
const (
	sweepDelay = 10 * time.Millisecond
	sweepShare = 20
)

// That a mount namespace comes or goes is told by nothing, so they are counted, which takes 2 µs for each: often while
// something happens, seldom else, and for a hundredth of a core, or a twentieth while something happens; but however
// long it takes to look at them once, it is done every two seconds.
const (
	roundMin      = 100 * time.Millisecond
	roundMax      = time.Second
	roundLongest  = 2 * time.Second
	roundShare    = 100
	stirringShare = 20
)

// watch follows the kernel until ctx ends.
func (w *Watcher) watch(ctx context.Context, waiter *mount.Waiter) error {
	var sweepAt time.Time
	delay := sweepDelay
	pause, cost := roundMin, time.Duration(0)
	roundAt := time.Now().Add(pause)
	for ctx.Err() == nil {
		table, timeout := w.eyes.poll, time.Until(roundAt)
		if !sweepAt.IsZero() {
			table, timeout = nil, min(timeout, time.Until(sweepAt))
		}
		changed, err := waiter.Wait(w.eyes.events, table, max(0, timeout))
		if err != nil {
			return err
		}
		if err := w.look(); err != nil {
			w.recover(ctx, err)
		}
		if changed && w.eyes.events != nil {
			sweepAt = time.Now().Add(delay)
		}
		if !sweepAt.IsZero() && !time.Now().Before(sweepAt) {
			start := time.Now()
			w.sweep()
			sweepAt, delay = time.Time{}, max(sweepDelay, sweepShare*time.Since(start))
		}
		if soonest := time.Now().Add(max(roundMin, min(roundLongest, stirringShare*cost))); w.hasStirred() && roundAt.After(soonest) {
			roundAt = soonest
		}
		if start := time.Now(); !start.Before(roundAt) {
			share := roundShare
			if pause = min(2*pause, roundMax); w.goRound() {
				pause, share = roundMin, stirringShare
			}
			cost = time.Since(start)
			roundAt = time.Now().Add(max(pause, min(roundLongest, time.Duration(share)*cost)))
		}
	}
	return nil
}

// hasStirred tells whether mounts have come or gone since other namespaces were looked at.
func (w *Watcher) hasStirred() bool {
	w.looking.Lock()
	defer w.looking.Unlock()
	return w.elsewhere.stirred
}

// goRound looks at the other namespaces, and tells whether anything has changed since it did so before.
func (w *Watcher) goRound() bool {
	w.looking.Lock()
	defer w.looking.Unlock()
	return w.lookElsewhere(false, func() {
		w.looking.Unlock()
		w.looking.Lock()
	})
}

// recover says that something was missed, and lists again after a moment.
func (w *Watcher) recover(ctx context.Context, err error) {
	w.log.Error("looking at mounts failed; listing them again", "error", err)
	select {
	case <-ctx.Done():
		return
	case <-time.After(100 * time.Millisecond):
	}
	w.looking.Lock()
	defer w.looking.Unlock()
	if err := w.missedLocked(err.Error()); err != nil {
		w.log.Error("listing mounts failed", "error", err)
	}
}
