package replicate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// Patience with a file system that does not answer when weir starts. One that the index knows is waited for later on, as one
// that is away; of one that is new nothing is known, so that it has more time and is refused then. A disk that sleeps or is
// busy takes some seconds.
const (
	KnownPatience = time.Second
	NewPatience   = 15 * time.Second
)

// errLate says that a target that the index knows has not answered in time, and is prepared when it does.
var errLate = errors.New("a target does not answer")

// prepareAll prepares the targets side by side, since one that hangs must not keep the others. All are asked before the
// first is written, so that a refusal leaves no trace on any. Dry writes to none. A target that the index knows and that
// cannot be used now keeps none of the others, unless all are refused.
func (r *Replicator) prepareAll(ctx context.Context, dry bool) error {
	var awake []*preparing
	for _, t := range r.targets {
		if err := t.Load(); err != nil {
			return err
		}
		t.SetAside(target.Absent(t.Path(), "it does not answer", weir.SilentHint))
		awake = append(awake, &preparing{t, t.Known(), dry, make(chan error, 1)})
	}
	awake, err := r.prepareStep(ctx, awake, true)
	if err == nil && !dry {
		awake, err = r.prepareStep(ctx, awake, false)
	}
	for _, p := range awake {
		p.t.SetAside(nil)
	}
	return err
}

// prepareStep asks the targets, or prepares them, and returns those that can be used.
func (r *Replicator) prepareStep(ctx context.Context, list []*preparing, dry bool) (fit []*preparing, err error) {
	for _, p := range list {
		go func() { p.result <- p.t.Prepare(ctx, dry) }()
	}
	begun, late := time.Now(), false
	var leave []func()
	for _, p := range list {
		switch failed := r.await(ctx, p, begun); {
		case failed == nil:
			fit = append(fit, p)
		case errors.Is(failed, errLate):
			late = true
		case ctx.Err() != nil || !p.known:
			return nil, failed
		default:
			if weir.KindOf(failed) == weir.KindRefused {
				err = cmp.Or(err, failed)
			} else {
				late = true // What fails, as a disk does, may work later.
			}
			leave = append(leave, func() { p.leave(r.log, failed) })
		}
	}
	if err != nil && len(fit) == 0 && !late {
		return nil, err
	}
	for _, do := range leave {
		do()
	}
	return fit, nil
}

// preparing is a target that is being prepared.
type preparing struct {
	t      *target.Target
	known  bool // to the index, from before
	dry    bool // it is only asked, and never written
	result chan error
}

// leave has the units of a target find out for themselves when it can be used again.
func (p *preparing) leave(log *slog.Logger, why error) {
	if p.dry {
		p.t.SetAside(why)
		return
	}
	log.Warn("a target cannot be used; weir goes on without it until it can", "target", weir.LogPath(p.t.Path()), "error", why)
	p.t.SetAside(nil)
}

// await waits for a target to answer, but not for ever. One that is known and does not is prepared when it does.
func (r *Replicator) await(ctx context.Context, p *preparing, begun time.Time) error {
	for _, patience := range []time.Duration{KnownPatience, NewPatience} {
		select {
		case err := <-p.result:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(time.Until(begun.Add(patience)), 20*time.Millisecond)):
		}
		if p.known {
			break
		}
		if patience == NewPatience {
			return target.Refuse(p.t.Path(), "it does not answer", weir.SilentHint)
		}
		r.log.Warn("a target does not answer; weir waits for it a little longer", "target", weir.LogPath(p.t.Path()), "hint", weir.SilentHint)
	}
	if !p.dry {
		r.log.Warn("a target does not answer; weir goes on without it until it does", "target", weir.LogPath(p.t.Path()))
		go r.prepareLate(ctx, p)
	}
	return errLate
}

// prepareLate prepares a target once it answers.
func (r *Replicator) prepareLate(ctx context.Context, p *preparing) {
	err := <-p.result
	if err == nil {
		err = p.t.Prepare(ctx, false)
	}
	if err != nil && !r.draining.Load() {
		p.leave(r.log, err)
	}
	p.t.SetAside(nil)
	r.kick()
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
