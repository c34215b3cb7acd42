package volume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// eyes is what a running Watcher has open to look at the kernel: nothing of it is on a volume.
type eyes struct {
	events    *mount.Events    // nil where mounts are polled
	unique    bool             // whether ids are never reused
	table     *mount.Table     // to look whether it has changed, and to read it
	poll      *mount.Table     // to wait for changes: each open file remembers by itself what it has told
	sentinels *mount.Sentinels // nil with events, or if no group could be had
	pending   []mount.Event    // buffer
}

func openEyes(fallback bool, log *slog.Logger) (*eyes, error) {
	e := &eyes{unique: !fallback && mount.Complete()}
	var err1, err2 error
	e.table, err1 = mount.OpenTable()
	e.poll, err2 = mount.OpenTable()
	if err := errors.Join(err1, err2); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if e.unique {
		e.events = subscribe(log)
	}
	if e.events == nil {
		sentinels, err := mount.NewSentinels()
		if err != nil {
			log.Warn("a volume that is unmounted and mounted again between two looks may be taken for the same", "error", err)
		}
		e.sentinels = sentinels
	}
	return e, nil
}

// subscribe returns a marked group of mount events, or nil where there is none to be had.
func subscribe(log *slog.Logger) *mount.Events {
	events, err := mount.NewEvents()
	if err == nil {
		if err = events.Mark("/proc/self/ns/mnt"); err == nil {
			return events
		}
		_ = events.Close()
	}
	if !errors.Is(err, unix.EINVAL) {
		log.Warn("no mount events; mounts are polled", "error", err)
	}
	return nil
}

// Close lets go of what is open.
func (e *eyes) Close() error {
	var errs []error
	if e.events != nil {
		errs = append(errs, e.events.Close())
	}
	if e.sentinels != nil {
		errs = append(errs, e.sentinels.Close())
	}
	for _, table := range []*mount.Table{e.table, e.poll} {
		if table != nil {
			errs = append(errs, table.Close())
		}
	}
	return errors.Join(errs...)
}

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

// look brings the model up to now: whatever mount(2) or umount(2) did before the call is in it after.
func (w *Watcher) look() error {
	w.looking.Lock()
	defer w.looking.Unlock()
	switch {
	case w.eyes == nil:
		return w.listOnce()
	case w.eyes.events != nil:
		return w.drainLocked()
	}
	changed, err := w.eyes.table.Changed()
	if err != nil || !changed {
		return err
	}
	return w.readLocked(false)
}

// listOnce looks without a subscription: before Run, and after it.
func (w *Watcher) listOnce() error {
	table, err := mount.OpenTable()
	if err != nil {
		return err
	}
	defer table.Close()
	unique := !w.fallback && mount.Complete()
	entries, err := readTable(table, unique)
	if err == nil {
		w.replace(entries, unique, true)
	}
	return err
}

// beginLocked lists for the first time, and tells every volume: also those that At has met before Run.
// looking is held.
func (w *Watcher) beginLocked() error {
	entries, err := readTable(w.eyes.table, w.eyes.unique)
	if err != nil {
		return err
	}
	w.mu.Lock()
	changes := w.model.replace(entries, w.eyes.unique, true, unguarded)
	w.carryOutLocked(changes)
	var notices []notice
	for _, in := range w.model.present {
		notices = append(notices, notice{kind: tellArrived, volume: w.volumes[in.id], listed: true})
	}
	w.mu.Unlock()
	w.guard(notices, entries)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(append(notices, notice{kind: tellListed})...)
	return nil
}

func unguarded(weir.VolumeID) verdict { return unwatched }

// listLocked takes in a complete table and says so. looking is held.
func (w *Watcher) listLocked() error {
	if err := w.readLocked(true); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notice{kind: tellListed})
	return nil
}

// missedLocked answers lost events: it says so, and lists again. looking is held.
func (w *Watcher) missedLocked(reason string) error {
	w.mu.Lock()
	w.queueLocked(notice{kind: tellMissed, reason: reason})
	w.mu.Unlock()
	return w.listLocked()
}

// readLocked takes in a complete table. looking is held.
func (w *Watcher) readLocked(listed bool) error {
	entries, err := readTable(w.eyes.table, w.eyes.unique)
	if err == nil {
		w.replace(entries, w.eyes.unique, listed)
	}
	return err
}

// readTable returns the mounts of one moment.
func readTable(table *mount.Table, unique bool) ([]mount.Entry, error) {
	if unique {
		return readUnique()
	}
	// Where mounts come and go all the time the last try counts: the change that spoils it is told, and
	// looked at, afterwards.
	for tries := 8; ; tries-- {
		if _, err := table.Changed(); err != nil {
			return nil, err
		}
		entries, err := table.Read()
		if err != nil || tries == 0 {
			return entries, err
		}
		changed, err := table.Changed()
		if err != nil || !changed {
			return entries, err
		}
	}
}

// readUnique lists at one moment, then describes what is still there.
func readUnique() ([]mount.Entry, error) {
	ids, err := mount.List(0)
	if err != nil {
		return nil, err
	}
	entries := make([]mount.Entry, 0, len(ids))
	for _, id := range ids {
		e, err := mount.Stat(0, id)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
			continue // gone meanwhile, or outside the root of the process
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// drainLocked takes in the events that are queued. looking is held.
func (w *Watcher) drainLocked() error {
	for {
		events, err := w.eyes.events.Read(w.eyes.pending[:0])
		w.eyes.pending = events
		if err != nil || len(events) == 0 {
			return err
		}
		if err := w.absorbLocked(events); err != nil {
			return err
		}
	}
}

func (w *Watcher) absorbLocked(events []mount.Event) error {
	for _, event := range events {
		if event.Overflow {
			if err := w.missedLocked("the kernel's queue of mount events was full"); err != nil {
				return err
			}
			continue // what follows in the queue is newer or known already
		}
		if err := w.absorbOne(event); err != nil {
			return err
		}
	}
	return nil
}

// absorbOne looks at the mount that an event names. One that has left meanwhile is told by its own event.
func (w *Watcher) absorbOne(event mount.Event) error {
	var entry mount.Entry
	var err error
	if event.Attached {
		entry, err = mount.Stat(0, event.ID)
	}
	gone := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM)
	if err != nil && !gone {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !event.Attached, gone && event.Detached:
		w.applyLocked(w.model.detach(event.ID))
	case !gone:
		w.applyLocked(w.model.attach(entry, false))
	}
	return nil
}

// sweep looks again at every mount that is known, for what makes no event: a remount, a renamed directory
// above a mount point. Mounts that have come or gone are left to their events.
func (w *Watcher) sweep() {
	w.looking.Lock()
	defer w.looking.Unlock()
	w.mu.Lock()
	known := w.model.entries()
	w.mu.Unlock()
	w.restat(known)
}

// restat looks again at mounts with unique ids.
func (w *Watcher) restat(known []mount.Entry) {
	for _, old := range known {
		entry, err := mount.Stat(0, old.ID)
		if err != nil || entry == old {
			continue
		}
		w.mu.Lock()
		w.applyLocked(w.model.update(entry))
		w.mu.Unlock()
	}
}

// fresh brings the model up to now, with the present points of all mounts, and returns all mounts. With an
// error come those that were seen last.
func (w *Watcher) fresh() ([]mount.Entry, error) {
	err := w.look()
	w.looking.Lock()
	defer w.looking.Unlock()
	if err == nil {
		err = w.rereadLocked()
	}
	if err != nil {
		err = fmt.Errorf("look at mounts: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.model.entries(), err
}

// seen brings the model up to now and returns all mounts, with the points at which they were seen last.
func (w *Watcher) seen() ([]mount.Entry, error) {
	err := w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.model.entries(), err
}

// rereadLocked looks again at what look may have left as it was because nothing told of a change.
func (w *Watcher) rereadLocked() error {
	switch {
	case w.eyes == nil:
		return nil // look has just listed
	case w.eyes.events == nil:
		return w.readLocked(false)
	}
	w.mu.Lock()
	known := w.model.entries()
	w.mu.Unlock()
	w.restat(known)
	return nil
}

// replace takes in a complete table. Sentinels are placed on what has arrived before it is told: nobody has
// relied on the volume until then, so it is whatever the sentinel stands on. looking is held.
func (w *Watcher) replace(entries []mount.Entry, unique, listed bool) {
	verdicts := w.verdicts()
	w.mu.Lock()
	notices := w.carryOutLocked(w.model.replace(entries, unique, listed, verdicts))
	w.mu.Unlock()
	w.guard(notices, entries)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notices...)
}

// verdicts reads the sentinels. The result is to be called with mu held.
func (w *Watcher) verdicts() func(weir.VolumeID) verdict {
	if w.eyes == nil || w.eyes.sentinels == nil {
		return unguarded
	}
	living, err := w.eyes.sentinels.Living()
	if err != nil {
		w.log.Error("sentinels cannot be read", "error", err)
		return unguarded
	}
	return func(id weir.VolumeID) verdict {
		switch v := w.volumes[id]; {
		case !v.guarded:
			return unwatched
		case living[v.device]:
			return alive
		}
		return dead
	}
}

// guardLimit bounds how long a volume that does not answer holds up the others.
const guardLimit = 50 * time.Millisecond

// guard places sentinels on the volumes that have arrived. looking is held.
func (w *Watcher) guard(notices []notice, entries []mount.Entry) {
	if w.eyes == nil || w.eyes.sentinels == nil {
		return
	}
	for _, n := range notices {
		if n.kind != tellArrived || pseudo(n.volume.fsType) {
			continue
		}
		err := w.guardOne(n.volume, entries)
		w.mu.Lock()
		n.volume.guarded = err == nil
		w.mu.Unlock()
		if err != nil {
			w.log.Debug("no sentinel", "volume", n.volume.id, "type", n.volume.fsType, "error", err)
		}
	}
}

func (w *Watcher) guardOne(v *volume, entries []mount.Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), guardLimit)
	defer cancel()
	root, err := w.openVolume(ctx, v, entries, unix.O_PATH)
	if err != nil {
		return err
	}
	return errors.Join(w.eyes.sentinels.Place(root), root.Close())
}
