package replicate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// lookBeneath finds out whether something lies in the bare mount point of a place. It may have been there before the volume
// came for the first time, or come while that was away: it is below the source, and on no replica.
func (r *Replicator) lookBeneath(ctx context.Context, p *place) {
	holds, err := r.holdsBeneath(ctx, p)
	if err != nil {
		return // What is known stays known.
	}
	p.mu.Lock()
	news := holds && p.beneath.IsZero()
	switch {
	case news:
		p.beneath = time.Now()
	case !holds:
		p.beneath = time.Time{}
	}
	p.mu.Unlock()
	if news {
		r.log.Warn("a bare mount point holds data that is not copied", "path", r.label(p), "todo", todoBeneath(r.pathOf(p), p.parent != nil))
	}
}

// holdsBeneath reports whether only the bare mount point of a place is there, with something in it.
func (r *Replicator) holdsBeneath(ctx context.Context, p *place) (bool, error) {
	if r.leftOutBy(p) != "" {
		return false, nil
	}
	if p.parent != nil {
		if _, around, _ := p.parent.at(); around == nil {
			return false, nil // Its mount point is away too, and what has that path is beneath the volume around it.
		}
	}
	volume, _, bare, err := r.shownAt(p)
	switch {
	case err != nil && weir.KindOf(err) == weir.KindAbsent:
		return false, nil
	case err != nil || !bare:
		return false, err
	}
	return look(ctx, r, volume, r.pathOf(p), holdsAny)
}

// holdsAny reports whether there is any name in a directory.
func holdsAny(dir *tree.Dir) (bool, error) {
	some := errors.New("some")
	if err := dir.List(func(string, uint32) error { return some }); !errors.Is(err, some) {
		return false, err
	}
	return true, nil
}

// beneathSince returns when it was found that something lies in the bare mount point of the place; zero if nothing does.
func (p *place) beneathSince() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beneath
}

// stirredBeneath has it looked again at a bare mount point in which names came or went. While the volume is there nobody can
// look into it.
func (u *unit) stirredBeneath(dir weir.Handle, items []replica.Item) {
	if _, owned := u.place.covers(dir); !owned {
		return
	}
	if !slices.ContainsFunc(u.r.allPlaces(), func(p *place) bool { return p.parent == u.place && p.isAway() }) {
		return
	}
	for _, i := range items {
		if i.Name == "" || i.Ops&entryOps != 0 {
			u.r.mountsHinted()
			return
		}
	}
}

// beneath lists what lies in the bare mount point of the unit's place, if something does.
func (u *unit) beneath() (list []Problem) {
	p := u.place
	rel, _, _ := p.at()
	if since := p.beneathSince(); !since.IsZero() {
		list = append(list, Problem{
			Path: cmp.Or(rel, self), Target: u.target.Path(), Since: since,
			Reason: "its bare mount point holds data that is not copied: " + todoBeneath(u.r.pathOf(p), p.parent != nil),
		})
	}
	return list
}
