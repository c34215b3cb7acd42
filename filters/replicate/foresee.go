package replicate

import (
	"context"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
)

// inDoubt reports whether a decision leaves a place as it is although a volume is there.
func inDoubt(d policy.Decision) bool {
	return d.Action == policy.ActionHold || d.Action == policy.ActionAbsent
}

// foresee notes at which places a volume will be held that has just been given to the filter: it may be shown nowhere yet,
// and the survey that holds it comes later. What cannot be looked at now is left to the survey.
func (r *Replicator) foresee(ctx context.Context, volume weir.Volume) {
	for _, p := range r.allPlaces() {
		path, shows := r.willShow(p, volume)
		if !shows {
			continue
		}
		if _, d, err := r.judge(ctx, p, volume, path); err == nil && inDoubt(d) {
			p.mistrust(weir.Remark{Volume: volume.ID(), Path: r.pathOf(p), Held: true, Why: d.Reason, Todo: todoHeld})
		}
	}
	for _, m := range here(volume).Mounts {
		if m.Coming {
			r.foreseeBurial(ctx, volume, m.Point)
		}
	}
}

// foreseeAnew is foresee for a volume that the filter has been given before, when its mounts have changed: another one may be
// about to come, or not to come after all.
func (r *Replicator) foreseeAnew(ctx context.Context, volume weir.Volume) {
	now := here(volume)
	if comes(now) {
		r.foresee(ctx, volume)
		return
	}
	for _, p := range r.allPlaces() {
		if _, shows := r.willShow(p, volume); !shows {
			p.believe(volume.ID())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.foreseen = slices.DeleteFunc(r.foreseen, func(b burial) bool { return b.volume == volume.ID() && !mountedAt(now, b.path) })
}

// willShow reports whether a place shows a volume, and at which path, or will when that is mounted, without one.
func (r *Replicator) willShow(p *place, volume weir.Volume) (path string, shows bool) {
	path = r.pathOf(p)
	if slices.ContainsFunc(here(volume).Mounts, func(m weir.Mount) bool { return m.Coming && m.Point == path }) {
		return "", true
	}
	there, _, bare, err := r.shownAt(p)
	return path, err == nil && !bare && there.ID() == volume.ID()
}

// comes reports whether weir is about to mount a volume.
func comes(volume weir.VolumeInfo) bool {
	return slices.ContainsFunc(volume.Mounts, func(m weir.Mount) bool { return m.Coming })
}

// mistrust notes that a volume will be held, unless it is at the place by now. Another one may be, on which it will be mounted.
func (p *place) mistrust(doubt weir.Remark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.volume == nil || p.volume.ID() != doubt.Volume {
		p.doubt = doubt
	}
}

// doubted returns what was foreseen of a volume that is not at the place yet; zero if nothing was.
func (p *place) doubted() weir.Remark {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doubt
}

// believe forgets what was foreseen of a volume.
func (p *place) believe(volume weir.VolumeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.believeLocked(volume)
}

// believeLocked is believe for who holds p.mu.
func (p *place) believeLocked(volume weir.VolumeID) {
	if p.doubt.Volume == volume {
		p.doubt = weir.Remark{}
	}
}
