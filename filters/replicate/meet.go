package replicate

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/tree"
)

// settle decides what to do with a place, given what stands there now.
func (r *Replicator) settle(ctx context.Context, s *survey, p *place) {
	volume, mounted, bare, err := r.shownAt(p)
	if err != nil {
		if weir.KindOf(err) == weir.KindAbsent {
			r.vanished(p)
		} else {
			s.unsettled = true // Nothing says that it has left.
		}
		return
	}
	r.mu.Lock()
	_, attached := r.attached[volume.ID()]
	r.mu.Unlock()
	p.mu.Lock()
	same := p.volume != nil && p.volume.ID() == volume.ID() && p.holding == "" // What is held may be cleared up now.
	p.mu.Unlock()
	switch by := r.excludes(volume.Info()); {
	case by != "":
		if r.left(p); !bare {
			s.excluded[p] = by
		}
	case !attached:
		r.left(p)
	case same:
	case bare:
		p.mu.Lock()
		p.volume, p.holding = nil, ""
		p.mu.Unlock()
	default:
		if err := r.meet(ctx, p, volume, mounted); err != nil && ctx.Err() == nil {
			s.unsettled = true
			s.troubles[outcry{slog.LevelWarn, "a volume cannot be followed yet", r.pathOf(p)}] = err.Error()
		}
	}
}

// meet looks at a volume that has come to a place, and follows it unless that is in doubt.
func (r *Replicator) meet(ctx context.Context, p *place, volume weir.Volume, mountRoot bool) error {
	self, decision, err := r.judge(ctx, p, volume, r.pathOf(p))
	if err != nil {
		return err
	}
	r.follow(p, volume, volume.Info().Identity, self, mountRoot, decision)
	return nil
}

// judge says what is to be done at a place with a volume that is at path, or is still nowhere if that is empty, and returns
// its root.
func (r *Replicator) judge(ctx context.Context, p *place, volume weir.Volume, path string) (self tree.Object, d policy.Decision, err error) {
	self, err = look(ctx, r, volume, path, (*tree.Dir).Self)
	if err != nil {
		return self, d, err
	}
	info := volume.Info()
	p.mu.Lock()
	facts := policy.Place{Known: p.known, Found: true, Candidates: 1}
	if p.known {
		facts.Match = policy.Identify(p.identity, info.Identity)
		if facts.Match != policy.MatchOther && keysOf(p.epoch).ofRoot(self) != p.root {
			facts.Match = policy.MatchDirectory
		}
	}
	p.mu.Unlock()
	holds, list, err := r.witnesses(p, facts.Match)
	if err != nil {
		return self, d, err
	}
	facts.Holds, facts.Sample = holds, policy.SampleResolved
	switch {
	case facts.Match == policy.MatchSame && self.Handle != "":
		// The root is the very inode that was replicated, born when that was. Whatever has become of the files
		// in it has become of them there; how many may go without consent is the brake's to say.
	case len(list) > 0:
		known, err := look(ctx, r, volume, path, func(root *tree.Dir) (bool, error) {
			return slices.ContainsFunc(list, func(w witness) bool { return w.isIn(root) }), nil
		})
		if err != nil {
			return self, d, err
		}
		if !known {
			facts.Sample = policy.SampleLost
		}
	case !holds || facts.Match == policy.MatchUnknown:
		facts.Sample = policy.SampleUntested
	}
	facts.Candidates = r.candidates(info)
	return self, r.options.Replaced.Decide(facts), nil
}

// mountedAt reports whether a volume is mounted at a path.
func mountedAt(info weir.VolumeInfo, path string) bool {
	return slices.ContainsFunc(info.Mounts, func(m weir.Mount) bool { return m.Own && m.Point == path })
}

// candidates counts the volumes that have the identity of one.
func (r *Replicator) candidates(info weir.VolumeInfo) int {
	r.mu.Lock()
	attached := slices.Collect(maps.Values(r.attached))
	r.mu.Unlock()
	n := 0
	for _, v := range attached {
		// One that has left, and was not torn down yet, has no mounts; one that only containers show is elsewhere.
		if other := here(v); len(other.Mounts) > 0 && policy.Identify(other.Identity, info.Identity) == policy.MatchSame {
			n++
		}
	}
	return max(n, 1)
}

// follow carries a decision out.
func (r *Replicator) follow(p *place, volume weir.Volume, id weir.Identity, self tree.Object, mountRoot bool, d policy.Decision) {
	if inDoubt(d) {
		r.hold(p, volume, d.Reason)
		return
	}
	p.mu.Lock()
	p.merge = p.merge && r.options.Replaced != policy.ReplacedMirror
	switch {
	case d.Action != policy.ActionFollow:
		p.epoch++
		p.merge = d.Action == policy.ActionMerge
	case p.known && (keysOf(p.epoch).ofRoot(self) != p.root || policy.Identify(p.identity, id) == policy.MatchOther):
		p.epoch++
	}
	p.believeLocked(volume.ID())
	p.volume = nil // Until the walk is owed.
	p.holding, p.identity, p.mountRoot, p.beneath = "", id, mountRoot, time.Time{}
	p.root = keysOf(p.epoch).ofRoot(self)
	p.loseWayLocked()
	p.mu.Unlock()
	p.foreign.clear()
	if err := p.save(r); err != nil {
		r.log.Error("the index does not take a place", "place", r.label(p), "error", err)
		return
	}
	// The walk is owed before the volume shows: no unit works on it without.
	units := r.unitsOf(p)
	for _, u := range units {
		u.scanWanted(scanRequest{audit: true, reason: "the volume has come"})
	}
	if !r.shown(p, volume) {
		return // What comes with the next instance on it is looked at then.
	}
	r.log.Info("volume is followed", "place", r.label(p), "volume", volume.ID(), "type", id.FSType, "why", d.Reason)
}

// shown has the units of a place work on a volume, unless its instance has ended meanwhile.
func (r *Replicator) shown(p *place, volume weir.Volume) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attached[volume.ID()] == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.volume, p.covering = volume, true
	p.came, p.overdue = time.Now(), time.Time{}
	return true
}

// hold leaves the replica of a place as it is although a volume is there.
func (r *Replicator) hold(p *place, volume weir.Volume, reason string) {
	p.mu.Lock()
	before := p.holding
	p.believeLocked(volume.ID())
	p.volume, p.holding, p.beneath = volume, reason, time.Time{}
	p.mu.Unlock()
	if before != reason {
		r.log.Warn("place is held: nothing is changed on its replica", "place", r.label(p), "reason", reason,
			"todo", todoHeld)
	}
}

// astray lets go of a place where another directory stands than the one that was followed as root: it is decided anew what
// becomes of it.
func (r *Replicator) astray(p *place, root weir.Handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.mu.Lock()
	stale := p.root != root
	p.mu.Unlock()
	if !stale {
		r.leftLocked(p, weir.TeardownVolumeLeft)
		r.surveyInLocked(hintDelay)
	}
}

// awayAround returns where a volume is away, or held, in whose mount point a place is; "" if there is none.
func (r *Replicator) awayAround(p *place) string {
	rel, _, _ := p.at()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.places {
		if above, volume, _ := q.at(); above != "" && volume == nil && strings.HasPrefix(rel, above+"/") {
			return r.sourcePath(above)
		}
	}
	return ""
}

// vanished is left for a path that does not exist. It notes whether the volume is there that the place was a directory of.
func (r *Replicator) vanished(p *place) {
	near, err := r.nearest()
	gone := err == nil && p.wasIn(near.Info().Identity)
	p.mu.Lock()
	p.gone = gone
	p.mu.Unlock()
	r.left(p)
}

// left is leftLocked for who does not hold r.mu.
func (r *Replicator) left(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leftLocked(p, weir.TeardownVolumeLeft)
}

// leftLocked notes that the volume of a place is away, or that the filter is. r.mu is held.
func (r *Replicator) leftLocked(p *place, reason weir.TeardownReason) {
	p.mu.Lock()
	had := p.volume != nil
	if had {
		p.taken = reason == weir.TeardownManual || reason == weir.TeardownFilterUnload
	}
	p.volume, p.holding = nil, ""
	p.mu.Unlock()
	if had {
		r.log.Warn(lacks(reason)+replicaStays, "place", r.label(p))
	}
}

// lacks says why nothing of a place is seen, by why the instance on its volume has ended.
func lacks(reason weir.TeardownReason) string {
	switch {
	case reason == weir.TeardownManual:
		return "detached by hand"
	case reason.Unloads():
		return "the filter is unloaded"
	case reason == weir.TeardownExcluded:
		return "the volume is excluded"
	case reason == weir.TeardownInternalError:
		return "taken away, since it has broken a rule"
	default:
		return "source absent"
	}
}
