package replicate

import (
	"context"
	"time"

	"github.com/weirfs/weir"
)

// Patience with a target that does not answer when weir starts. One that the index knows has its units wait for it,
// as for one that is away; of one that is new nothing is known, so that it has more time and is refused then.
const (
	knownPatience = time.Second
	newPatience   = 30 * time.Second
)

// prepareAll prepares the targets side by side, since one that hangs must not keep the others.
func (r *Replicator) prepareAll(ctx context.Context) error {
	results := make([]chan error, len(r.targets))
	for i, t := range r.targets {
		if err := t.load(); err != nil {
			return err
		}
		t.setUnready(true)
		results[i] = make(chan error, 1)
		go func() { results[i] <- t.prepare(ctx, false) }()
	}
	begun := time.Now()
	for i, t := range r.targets {
		if err := r.await(ctx, t, results[i], begun); err != nil {
			return err
		}
	}
	return nil
}

// await waits for a target to be prepared, but not for ever.
func (r *Replicator) await(ctx context.Context, t *target, result chan error, begun time.Time) error {
	patience := newPatience
	if t.known() {
		patience = knownPatience
	}
	select {
	case err := <-result:
		t.setUnready(false)
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(time.Until(begun.Add(patience)), 20*time.Millisecond)):
	}
	if !t.known() {
		return refuse(t.path, "it does not answer", "see whether its file system is frozen, or its disk or server is gone")
	}
	r.log.Warn("a target does not answer; weir goes on without it until it does", "target", weir.QuotePath(t.path))
	go func() {
		err := <-result
		if err != nil {
			r.log.Warn("target was not prepared", "target", weir.QuotePath(t.path), "error", err)
		}
		t.setUnready(false)
		r.kick()
	}()
	return nil
}

func (t *target) known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record != nil
}

func (t *target) isUnready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unready
}

func (t *target) setUnready(unready bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unready = unready
}

// Listed says that every volume that was there at the start has had its chance to be followed: a place that has
// none yet is without its volume.
func (r *Replicator) Listed() {
	r.reconcile()
	r.listed.Store(true)
	r.kick()
	r.changed()
}

// early reports whether it is too early to say that the unit's source is absent.
func (u *unit) early() bool {
	if u.r.listed.Load() {
		return false
	}
	_, volume, _ := u.place.at()
	return volume == nil
}

// Audit has every replica compared with its source once more, because somebody else may have changed it.
func (r *Replicator) Audit(reason string) {
	r.mu.Lock()
	units := r.units
	r.mu.Unlock()
	for _, u := range units {
		u.scanWanted(scanRequest{audit: true, reason: reason})
	}
}
