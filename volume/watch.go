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

// watch follows the kernel until ctx ends.
func (w *Watcher) watch(ctx context.Context, waiter *mount.Waiter) error {
	var sweepAt time.Time
	delay := sweepDelay
	for ctx.Err() == nil {
		table, timeout := w.eyes.poll, time.Duration(-1)
		if !sweepAt.IsZero() {
			table, timeout = nil, max(0, time.Until(sweepAt))
		}
		changed, err := waiter.Wait(w.eyes.events, table, timeout)
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
	}
	return nil
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
