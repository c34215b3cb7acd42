package replicate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// mountsChanged has the places compared with what is mounted, soon and once for all that has changed: what
// happens on a volume until its place is found is seen by the walk that begins then.
func (r *Replicator) mountsChanged() {
	select {
	case r.mountsMoved <- struct{}{}:
	default:
	}
}

// mountsHinted has the places compared with what is mounted in a moment, since something may have moved of which no event
// of mounts tells.
func (r *Replicator) mountsHinted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.surveyInLocked(hintDelay)
}

// hintDelay is how long hints are gathered.
const hintDelay = 250 * time.Millisecond

// surveyInLocked has the places compared after a while, unless they are sooner. r.mu is held.
func (r *Replicator) surveyInLocked(wait time.Duration) {
	at := time.Now().Add(wait)
	if !r.surveyAt.IsZero() && r.surveyAt.Before(at) {
		return
	}
	r.surveyAt = at
	r.surveyTimer.Reset(wait)
}

// surveyDue says that the time has come. Units that wait after a failure go on waiting, unless something has changed.
func (r *Replicator) surveyDue() {
	select {
	case r.resurvey <- struct{}{}:
	default:
	}
}

// survey is what comparing the places with what is mounted has found so far.
type survey struct {
	mounted   int
	notes     map[string]string // mounts that are not followed, and why
	present   map[*place]bool
	covered   map[*place]map[weir.Handle]bool // directories that mounts cover, and whether a place shows there
	pins      map[*place][]replica.Item       // mount points that the place around them has to pin
	moved     map[*place]bool                 // places that are elsewhere now
	excluded  map[*place]string               // places at which a volume stands that is excluded, and by what
	met       map[weir.VolumeID]bool          // volumes that are mounted below the source
	buried    []burial
	leftOut   []string          // where mounts are left out
	troubles  map[outcry]string // what could not be looked at, and why
	unsure    bool              // of some mount it is not known what it covers
	unsettled bool              // something could not be looked at, or has moved meanwhile
}

// outcry is what a survey logs, once for as long as it is so.
type outcry struct {
	level         slog.Level
	message, path string
}

// leave notes that a mount is not followed. Before all volumes are listed that of the one around it may only be to come.
func (r *Replicator) leave(s *survey, m weir.Mount, rel string, err error) {
	level, why := slog.LevelWarn, leftOut("")
	switch {
	case errors.As(err, &why):
		level = slog.LevelInfo
	case errors.As(err, new(buried)):
	default:
		s.unsure = true
		s.unsettled = s.unsettled || !errors.Is(err, errAround)
	}
	if !errors.As(err, new(buried)) { // That is a problem, and a remark.
		s.notes[rel] = err.Error()
	}
	if r.listed.Load() || !errors.Is(err, errAround) {
		s.troubles[outcry{level, "a mount below the source is not followed", m.Point}] = err.Error()
	}
}

func (s *survey) cover(p *place, key weir.Handle, owned bool) {
	if s.covered[p] == nil {
		s.covered[p] = make(map[weir.Handle]bool)
	}
	s.covered[p][key] = owned
}

// reconcile compares the places with what is mounted now.
func (r *Replicator) reconcile() {
	r.reconcileMu.Lock()
	defer r.reconcileMu.Unlock()
	r.mu.Lock()
	ctx := r.ctx
	r.surveyAt = time.Time{} // What is hinted at from now on may be seen too late.
	r.mu.Unlock()
	if ctx == nil || ctx.Err() != nil {
		return
	}
	s := r.survey(ctx)
	if ctx.Err() != nil {
		return
	}
	r.cryOut(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes, r.mounted = s.notes, s.mounted
	r.buriedLocked(s)
	for _, p := range r.places {
		if !s.present[p] {
			r.leftLocked(p, weir.TeardownVolumeLeft)
		}
	}
	for _, p := range r.places {
		p.exclude(s.excluded[p])
		if p.parent != nil {
			s.cover(p.parent, p.anchor(), true)
		}
	}
	for _, p := range r.places {
		fresh := p.isCovering() || s.moved[p]
		bare := p.cover(s.covered[p], s.unsure)
		for _, u := range r.units {
			if u.place != p {
				continue
			}
			for _, key := range bare {
				u.add(replica.Item{Dir: key, Tree: true})
			}
			for _, item := range s.pins[p] {
				u.add(item)
			}
			if fresh {
				u.tryNow()
			}
			u.poke()
		}
	}
	r.surveyAgainLocked(s)
	r.changed()
}

// surveyAgainLocked has what could not be settled looked at again after a while, which is the longer the longer that
// lasts: it may be that no mount tells when it can be. r.mu is held.
func (r *Replicator) surveyAgainLocked(s *survey) {
	if !s.unsettled {
		r.unsettledSince = time.Time{}
		return
	}
	if r.unsettledSince.IsZero() {
		r.unsettledSince = time.Now()
	}
	r.surveyInLocked(min(max(time.Since(r.unsettledSince), retries.First), retries.Max))
}

// cryOut logs what is not followed and what could not be looked at, if that is news.
func (r *Replicator) cryOut(s *survey) {
	for o, why := range s.troubles {
		if r.troubles[o] != why {
			r.log.Log(context.Background(), o.level, o.message, "path", weir.LogPath(o.path), "reason", why)
		}
	}
	r.troubles = s.troubles
}

// survey settles the place of each mount that there is now.
func (r *Replicator) survey(ctx context.Context) *survey {
	mounts := r.options.Mounts.MountsBelow(r.options.Source)
	s := &survey{
		notes: make(map[string]string), present: make(map[*place]bool),
		covered: make(map[*place]map[weir.Handle]bool), pins: make(map[*place][]replica.Item), mounted: len(mounts),
		moved: make(map[*place]bool), troubles: make(map[outcry]string), excluded: make(map[*place]string),
		met: make(map[weir.VolumeID]bool),
	}
	root := r.rootPlace()
	s.present[root] = true
	r.settle(ctx, s, root)
	sort.SliceStable(mounts, func(i, j int) bool { return len(mounts[i].Point) < len(mounts[j].Point) })
	for _, m := range mounts {
		rel := relative(r.options.Source, m.Point)
		if err := r.surveyMount(ctx, s, m, rel); err != nil {
			r.leave(s, m, rel, err)
		}
	}
	for _, p := range r.allPlaces() {
		if !s.present[p] {
			r.traceAway(ctx, s, p)
		}
		if !s.present[p] || p == root && p.isAway() {
			r.lookBeneath(ctx, p)
		}
	}
	if err := r.leavePrivate(ctx, s); err != nil && !errors.Is(err, errAround) { // Where nothing is followed nothing is copied.
		s.unsettled = true
		s.troubles[outcry{slog.LevelWarn, "what weir writes below the source cannot be left out", r.options.Private}] = err.Error()
	}
	if !samePoints(mounts, r.options.Mounts.MountsBelow(r.options.Source)) {
		r.mountsChanged() // A directory above a mount was renamed meanwhile, of which no event of mounts tells.
	}
	return s
}

// samePoints reports whether the same mounts are at the same places, in whatever order.
func samePoints(a, b []weir.Mount) bool {
	points := make(map[uint64]string, len(a))
	for _, m := range a {
		points[m.ID] = m.Point
	}
	for _, m := range b {
		if points[m.ID] != m.Point {
			return false
		}
	}
	return len(a) == len(b)
}

// surveyMount settles the place of one mount below the source. The error says why it is not followed.
func (r *Replicator) surveyMount(ctx context.Context, s *survey, m weir.Mount, rel string) error {
	volume, err := r.options.Discovery.At(m.Point)
	if err != nil {
		return fmt.Errorf("its volume is not known: %w", err)
	}
	if !shows(volume, m.ID) {
		s.unsettled = true // It has left, or a directory above it was renamed, perhaps to and fro.
		return nil
	}
	s.met[volume.ID()] = true
	if i := slices.IndexFunc(s.leftOut, func(out string) bool { return inside(out, rel) }); i >= 0 {
		return leftOut("it is mounted in " + weir.QuotePath(r.sourcePath(s.leftOut[i])) + ", which is left out")
	}
	parent := r.placeAbove(rel, s.present)
	at, key, isDir, err := r.mountKey(ctx, parent, rel)
	silent := errors.Is(err, errSilent)
	if p := r.placeShowing(volume, rel); p != nil && (silent || errors.Is(err, errAround) && parent.isTaken()) {
		s.present[p], s.unsettled = true, s.unsettled || silent // It does not need what is around it.
		return nil
	}
	if err != nil {
		return fmt.Errorf("its mount point cannot be reached: %w", err)
	}
	if err := r.vacate(ctx, s, parent, key, rel); err != nil {
		return err
	}
	if why := r.leaveOut(volume.Info(), m, rel, isDir); why != "" {
		s.cover(parent, key, false)
		if p, _ := r.knownPlace(parent, key, rel); p != nil {
			s.excluded[p] = r.excludes(volume.Info())
		}
		s.leftOut = append(s.leftOut, rel)
		return leftOut(why)
	}
	if err := r.buries(parent, key, rel); err != nil {
		s.cover(parent, key, false)
		s.buried = bury(s.buried, parent, volume, m.Point, err)
		return err
	}
	p, err := r.placeFor(parent, key, rel)
	if err != nil {
		return err
	}
	s.present[p] = true
	if err := errors.Join(r.remount(s, p, key), r.relocate(s, p, rel)); err != nil {
		return err
	}
	r.settle(ctx, s, p)
	s.pins[parent] = append(s.pins[parent], replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpCreate})
	return nil
}

func shows(v weir.Volume, mount uint64) bool {
	for _, m := range v.Info().Mounts {
		if m.ID == mount {
			return true
		}
	}
	return false
}

// mountKey returns name and key of the directory that a mount below a place covers, by walking to it on a
// clone of the parent's mount, in which it is not covered.
func (r *Replicator) mountKey(ctx context.Context, parent *place, rel string) (at replica.Name, key weir.Handle, isDir bool, err error) {
	prefix, volume, root := parent.at()
	if volume == nil {
		return at, "", false, errAround
	}
	names, k := strings.Split(relative(prefix, rel), "/"), parent.keys()
	way, err := look(ctx, r, volume, r.sourcePath(prefix), func(dir *tree.Dir) ([]tree.Object, error) { return lookups(dir, names) })
	if err != nil {
		return at, "", false, err
	}
	key = root
	for i, o := range way {
		at = replica.Name{Parent: key, Name: names[i]}
		key, isDir = k.of(at, o), o.IsDir()
	}
	return at, key, isDir, nil
}

// errAround waits for the volume around a mount, which tells when it comes.
var errAround = errors.New("the volume around it is not followed now")

// lookups looks up names one below the other.
func lookups(top *tree.Dir, names []string) (way []tree.Object, err error) {
	for i, name := range names {
		dir, err := top.Walk(names[:i])
		if err != nil {
			return nil, err
		}
		o, err := dir.Lookup(name)
		dir.Close()
		if err != nil {
			return nil, err
		}
		way = append(way, o)
	}
	return way, nil
}

// relative returns a path from a directory to what is below it.
func relative(dir, path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, dir), "/") }

// inside reports whether path is dir or below it; both are clean and absolute.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}
