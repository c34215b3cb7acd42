package replicate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// A place whose volume is away is where its anchor is: the directory that the volume was mounted on. That may be renamed, as
// may be what is above it, also while weir does not run, and on the replica it goes along with what it holds. Where it has
// left the source for good, the place stays where the replica has it, until a directory is made there anew, or a volume
// mounted: that is its anchor then. A volume that comes where the anchor was, and is not, has come to another place.

// anchor returns the key of the directory that the place is mounted on, in the place around it.
func (p *place) anchor() weir.Handle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mountKey
}

// mountOn says which directory the place is mounted on. No place is mounted on the former one then.
func (p *place) mountOn(key weir.Handle) {
	p.mu.Lock()
	former := p.mountKey
	p.mountKey, p.former = key, former
	p.mu.Unlock()
	p.parent.mu.Lock()
	defer p.parent.mu.Unlock()
	if p.parent.covered == nil {
		p.parent.covered = make(map[weir.Handle]bool)
	}
	delete(p.parent.covered, former)
	p.parent.covered[key] = true
}

// isAnchor reports whether the directory of that key is the anchor of a place in another one.
func (r *Replicator) isAnchor(around *place, key weir.Handle) bool {
	return slices.ContainsFunc(r.allPlaces(), func(p *place) bool { return p.parent == around && p.anchor() == key })
}

// trace finds out where a place is that no mount shows.
func (r *Replicator) trace(ctx context.Context, s *survey, p *place) error {
	rel, err := r.anchorPath(ctx, p)
	if errors.Is(err, errAround) {
		return nil // It is where that is.
	}
	if err != nil {
		return fmt.Errorf("find its mount point: %w", err)
	}
	return r.relocate(s, p, rel)
}

// traceAway traces a place whose volume is away.
func (r *Replicator) traceAway(ctx context.Context, s *survey, p *place) {
	err := r.trace(ctx, s, p)
	if err == nil || ctx.Err() != nil {
		return
	}
	s.unsettled = true
	if !errors.Is(err, errSilent) { // Of that the place around it tells.
		s.troubles[outcry{slog.LevelWarn, "it is not known where the volume of a place is missing", r.pathOf(p)}] = err.Error()
	}
}

// vacate traces the place that had a path at which a volume is mounted on another directory than its own.
func (r *Replicator) vacate(ctx context.Context, s *survey, parent *place, key weir.Handle, rel string) error {
	for _, p := range r.allPlaces() {
		if at, _, _ := p.at(); p.parent == parent && at == rel && p.anchor() != key && !s.present[p] {
			return r.trace(ctx, s, p)
		}
	}
	return nil
}

// anchorPath returns where the anchor of a place is, relative to SOURCE; if it has left the source, where a replica has it;
// and where it was if none has.
func (r *Replicator) anchorPath(ctx context.Context, p *place) (rel string, err error) {
	above, volume, root := p.parent.at()
	if volume == nil {
		return "", errAround
	}
	key := p.anchor()
	if h, ok := p.parent.keys().handle(key); ok {
		way, err := look(ctx, r, volume, r.sourcePath(above), func(top *tree.Dir) ([]string, error) { return wayTo(top, h) })
		if err != nil || len(way) > 0 {
			return join(above, strings.Join(way, "/")), err
		}
	}
	for _, u := range r.unitsOf(p.parent) {
		way, parked, known, err := names(u.ix, root, key)
		if err != nil || known && !parked {
			return join(above, strings.Join(way, "/")), err
		}
	}
	rel, _, _ = p.at()
	return rel, nil
}

// wayTo returns the names that lead from a directory to the one of that handle; none if it is not below it.
func wayTo(top *tree.Dir, h weir.Handle) ([]string, error) {
	dir, err := top.OpenHandle(h)
	if err != nil {
		return nil, unlessVanished(err)
	}
	defer dir.Close()
	for before := ""; ; {
		at, err := pathFrom(top, dir)
		if err != nil || at == before {
			return nil, err // It has stayed where it is, and that is not below, or has no name any more.
		}
		before = at
		way := strings.Split(at, "/")
		found, err := lookups(top, way)
		if err == nil && found[len(way)-1].Handle == h {
			return way, nil
		}
		if err = unlessVanished(err); err != nil {
			return nil, err
		}
	}
}

// pathFrom returns the path by which the kernel knows a directory, from another one. It means something only if looking it
// up leads there. It is empty if there is none.
func pathFrom(top, dir *tree.Dir) (string, error) {
	var paths [2]string
	for i, d := range []*tree.Dir{top, dir} {
		var err error
		if paths[i], err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.FD())); err != nil {
			return "", err
		}
	}
	if !inside(paths[0], paths[1]) {
		return "", nil
	}
	return relative(paths[0], paths[1]), nil
}

// relocate notes where a place is. What was mounted in it and is away goes along.
func (r *Replicator) relocate(s *survey, p *place, rel string) error {
	before, _, _ := p.at()
	if before == rel {
		return nil
	}
	p.mu.Lock()
	p.rel = rel
	p.mu.Unlock()
	s.moved[p] = true
	err := p.save(r)
	for _, q := range r.allPlaces() {
		if at, _, _ := q.at(); q.parent == p {
			err = errors.Join(err, r.relocate(s, q, join(rel, relative(before, at))))
		}
	}
	return err
}

// remount notes that a place is mounted on another directory than before, if it is.
func (r *Replicator) remount(s *survey, p *place, key weir.Handle) error {
	if p.anchor() == key {
		return nil
	}
	p.mountOn(key)
	s.moved[p] = true
	return p.save(r)
}

// remade follows an anchor that was removed and made anew: a replica has what was made in its stead now.
func (r *Replicator) remade(around *place, old, key weir.Handle) error {
	r.mu.Lock() // So that no survey sets what is covered by what it has seen before.
	i := slices.IndexFunc(r.places, func(p *place) bool { return p.parent == around && p.anchor() == old })
	if i < 0 {
		r.mu.Unlock()
		return nil
	}
	p := r.places[i]
	p.mountOn(key)
	r.mu.Unlock()
	return p.save(r)
}

// formerAnchor returns what the place was mounted on before whose anchor is the directory of that key; "" if nothing is known.
func (r *Replicator) formerAnchor(around *place, key weir.Handle) weir.Handle {
	for _, p := range r.allPlaces() {
		p.mu.Lock()
		anchor, former := p.mountKey, p.former
		p.mu.Unlock()
		if p.parent == around && anchor == key {
			return former
		}
	}
	return ""
}

// stirsAnchor reports whether an operation may have moved, removed or made the anchor of a place in p whose volume is away.
func (r *Replicator) stirsAnchor(p *place, op *weir.Operation) bool {
	if !op.IsDir || op.Ops&entryOps == 0 {
		return false
	}
	return slices.ContainsFunc(r.allPlaces(), func(q *place) bool {
		rel, volume, _ := q.at()
		return q.parent == p && volume == nil && (op.Ops&weir.OpRename != 0 || op.Name == path.Base(rel))
	})
}
