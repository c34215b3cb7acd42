package replicate

import (
	"context"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// Patience with a target that does not answer when weir starts. One that the index knows has its units wait for it,
// as for one that is away; of one that is new nothing is known, so that it has more time and is refused then.
const (
	knownPatience = time.Second
	newPatience   = 15 * time.Second
)

// prepareAll prepares the targets side by side, since one that hangs must not keep the others. All are asked before the
// first is written, so that a refusal leaves no trace on any.
func (r *Replicator) prepareAll(ctx context.Context) error {
	var awake []*preparing
	for _, t := range r.targets {
		if err := t.Load(); err != nil {
			return err
		}
		t.SetUnready(true)
		awake = append(awake, &preparing{t, make(chan error, 1)})
	}
	for _, dry := range []bool{true, false} {
		for _, p := range awake {
			go func() { p.result <- p.t.Prepare(ctx, dry) }()
		}
		begun := time.Now()
		var answered []*preparing
		for _, p := range awake {
			ok, err := r.await(ctx, p, begun)
			if err != nil {
				return err
			}
			if ok {
				answered = append(answered, p)
			}
		}
		awake = answered
	}
	for _, p := range awake {
		p.t.SetUnready(false)
	}
	return nil
}

// preparing is a target that is being prepared.
type preparing struct {
	t      *target.Target
	result chan error
}

// await waits for a target to answer, but not for ever. One that is known and does not is prepared when it does.
func (r *Replicator) await(ctx context.Context, p *preparing, begun time.Time) (answered bool, err error) {
	const hint = "see whether its file system is frozen, or its disk or server is gone"
	for _, patience := range []time.Duration{knownPatience, newPatience} {
		select {
		case err := <-p.result:
			return true, err
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(max(time.Until(begun.Add(patience)), 20*time.Millisecond)):
		}
		if p.t.Known() {
			break
		}
		if patience == newPatience {
			return false, target.Refuse(p.t.Path(), "it does not answer", hint)
		}
		r.log.Warn("a target does not answer; weir waits for it a little longer", "target", weir.LogPath(p.t.Path()), "hint", hint)
	}
	r.log.Warn("a target does not answer; weir goes on without it until it does", "target", weir.LogPath(p.t.Path()))
	go func() {
		err := <-p.result
		if err == nil {
			err = p.t.Prepare(ctx, false)
		}
		if err != nil {
			r.log.Warn("target was not prepared", "target", weir.LogPath(p.t.Path()), "error", err)
		}
		p.t.SetUnready(false)
		r.kick()
	}()
	return false, nil
}

// Listed says that every volume that was there at the start has had its chance to be followed: a place that has
// none yet is without its volume.
func (r *Replicator) Listed() {
	r.reconcile()
	r.listed.Store(true)
	r.mountsChanged() // What is not followed now is told.
	r.kick()
	r.changed()
}

// early reports whether it is too early to look at the unit's source, or to say that it is absent.
func (u *unit) early() bool {
	if u.place.isCovering() {
		return true
	}
	if u.r.listed.Load() {
		return false
	}
	_, volume, _ := u.place.at()
	return volume == nil
}

// Audit has every replica compared with its source once more, because somebody else may have changed it.
func (r *Replicator) Audit(reason string) {
	for _, u := range r.allUnits() {
		u.scanWanted(scanRequest{audit: true, reason: reason})
	}
}
