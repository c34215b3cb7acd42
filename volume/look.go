package volume

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

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
	w.carryOutLocked(w.model.replace(entries, w.eyes.unique, true, unguarded))
	w.mu.Unlock()
	w.lookElsewhere(true, restless)
	w.mu.Lock()
	w.state = running
	var notices []notice
	for _, in := range w.model.present {
		notices = append(notices, notice{kind: tellArrived, volume: w.volumes[in.id], listed: true})
	}
	w.mu.Unlock()
	w.guard(notices)
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
	w.elsewhere.distrust()
	w.lookElsewhere(true, restless)
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
	where := whereabouts{spaces: w.elsewhere.spaces}
	w.elsewhere.stirred = true
	for _, event := range events {
		if event.Overflow {
			if err := w.missedLocked("the kernel's queue of mount events was full"); err != nil {
				return err
			}
			continue // what follows in the queue is newer or known already
		}
		if err := w.absorbOne(event, &where); err != nil {
			return err
		}
	}
	return nil
}

// absorbOne looks at the mount that an event names. One that has left meanwhile is told by its own event.
func (w *Watcher) absorbOne(event mount.Event, where *whereabouts) error {
	if !event.Attached {
		w.takeOut(event.ID)
		return nil
	}
	entry, err := mount.Stat(0, event.ID)
	switch {
	case err == nil:
		w.prune(entry.Device)
		w.apply(func() []change { return w.model.attach(entry, false) })
	case !gone(err):
		return err
	default:
		if f, found := where.find(event.ID); found {
			w.attachForeign(f, false)
		} else if event.Detached {
			w.takeOut(event.ID)
		} else {
			w.passed()
		}
	}
	return nil
}

// passed tells that a mount has left of which nothing was seen. looking is held.
func (w *Watcher) passed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notice{kind: tellPassed})
}

// gone tells whether an error of mount.Stat means that the mount is not in the namespace, or outside the root of the
// process.
func gone(err error) bool { return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EPERM) }

// takeOut takes out a mount, of whichever namespace. looking is held.
func (w *Watcher) takeOut(id uint64) {
	in, _ := w.model.withMount(id)
	if in == nil {
		in = w.model.foreign[id]
	}
	if in == nil {
		return // gone before anybody could look at it
	}
	w.apply(func() []change { return append(w.model.detach(id), w.model.detachForeign(id)...) })
	w.prune(in.device)
}

// apply changes the model and tells what has changed. looking is held.
func (w *Watcher) apply(change func() []change) {
	w.mu.Lock()
	notices := w.carryOutLocked(change())
	notices = append(notices, w.uncoveredLocked()...)
	w.mu.Unlock()
	w.reunite(notices)
	w.guard(notices)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notices...)
}

// applyForeign is apply for mounts of other namespaces: they hide nothing in weir's own, and wait for no sentinel.
func (w *Watcher) applyForeign(change func() []change) {
	w.mu.Lock()
	notices := w.carryOutLocked(change())
	w.mu.Unlock()
	w.reunite(notices)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notices...)
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
		w.apply(func() []change { return w.model.update(entry) })
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
	for _, in := range slices.Clone(w.model.present) {
		w.pruneOne(in)
	}
	verdicts := w.verdicts()
	w.apply(func() []change {
		changes := w.model.replace(entries, unique, listed, verdicts)
		w.elsewhere.stirred = w.elsewhere.stirred || len(changes) > 0
		return changes
	})
}
