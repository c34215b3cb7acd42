package replicate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// placeRecord is what the index remembers of a place.
type placeRecord struct {
	ID        uint32        `json:"id"`
	Parent    uint32        `json:"parent"` // itself for the root
	Rel       []byte        `json:"rel"`    // bytes, since names need not be UTF-8
	MountKey  []byte        `json:"mount_key"`
	Epoch     uint16        `json:"epoch"`
	Root      []byte        `json:"root"`
	MountRoot bool          `json:"mount_root"` // whether the place was the root of a mount
	Identity  weir.Identity `json:"identity"`
	Handle    []byte        `json:"handle"` // identity's root handle, which JSON would not keep
}

const placePrefix = "place/"

// loadPlaces makes the places that the index remembers, and the root.
func (r *Replicator) loadPlaces() error {
	db := r.options.Index
	names, err := db.MetaKeys(placePrefix)
	if err != nil {
		return err
	}
	byID := make(map[uint32]*place)
	var records []placeRecord
	for _, name := range names {
		text, err := db.Meta(name)
		if err != nil {
			return err
		}
		var rec placeRecord
		if err := json.Unmarshal(text, &rec); err != nil {
			return fmt.Errorf("read %s of the index: %w", name, err)
		}
		rec.Identity.RootHandle = weir.Handle(rec.Handle)
		records = append(records, rec)
	}
	sort.Slice(records, func(i, j int) bool { return records[i].ID < records[j].ID })
	for _, rec := range records {
		p := &place{
			id: rec.ID, rel: string(rec.Rel), mountKey: weir.Handle(rec.MountKey), epoch: rec.Epoch,
			root: weir.Handle(rec.Root), mountRoot: rec.MountRoot, identity: rec.Identity, known: true,
		}
		if rec.ID != rec.Parent {
			p.parent = byID[rec.Parent]
		}
		byID[rec.ID] = p
		if err := r.addPlace(p); err != nil {
			return err
		}
	}
	if byID[0] == nil {
		return r.addPlace(&place{})
	}
	return nil
}

// addPlace adds a place and its unit on every target.
func (r *Replicator) addPlace(p *place) error {
	var units []*unit
	for _, t := range r.targets {
		u, err := r.newUnit(t, p)
		if err != nil {
			return err
		}
		units = append(units, u)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.places = append(r.places, p)
	r.units = append(r.units, units...)
	for _, u := range units {
		r.startLocked(u)
	}
	return nil
}

func (p *place) save(r *Replicator) error {
	p.mu.Lock()
	rec := placeRecord{
		ID: p.id, Parent: p.id, Rel: []byte(p.rel), MountKey: []byte(p.mountKey), Epoch: p.epoch, Root: []byte(p.root),
		MountRoot: p.mountRoot, Identity: p.identity, Handle: []byte(p.identity.RootHandle),
	}
	p.known = true
	p.mu.Unlock()
	if p.parent != nil {
		rec.Parent = p.parent.id
	}
	rec.Identity.RootHandle = ""
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return r.options.Index.SetMeta(fmt.Sprintf("%s%d", placePrefix, p.id), text)
}

// mountsChanged has the places compared with what is mounted, soon and once for all that has changed: what
// happens on a volume until its place is found is seen by the walk that begins then.
func (r *Replicator) mountsChanged() {
	select {
	case r.mountsMoved <- struct{}{}:
	default:
	}
}

// reconcile compares the places with what is mounted now.
func (r *Replicator) reconcile() {
	r.reconcileMu.Lock()
	defer r.reconcileMu.Unlock()
	r.mu.Lock()
	ctx := r.ctx
	r.mu.Unlock()
	if ctx == nil || ctx.Err() != nil {
		return
	}
	mounts := r.options.Mounts.MountsBelow(r.options.Source)
	notes := make(map[string]string)
	present := make(map[*place]bool)
	covered := make(map[*place]map[weir.Handle]bool)
	pins := make(map[*place][]replica.Item) // mount points that the place around them has to pin
	unsure := false                         // of some mount it is not known what it covers
	root := r.rootPlace()
	present[root] = true
	r.settle(ctx, root, r.options.Source, mounts)
	sort.SliceStable(mounts, func(i, j int) bool { return len(mounts[i].Point) < len(mounts[j].Point) })
	for _, m := range mounts {
		rel := strings.TrimPrefix(strings.TrimPrefix(m.Point, r.options.Source), "/")
		if err := r.reconcileMount(ctx, m, rel, present, covered, pins); err != nil {
			notes[rel] = err.Error()
			var why leftOut
			unsure = unsure || !errors.As(err, &why)
		}
	}
	if !samePoints(mounts, r.options.Mounts.MountsBelow(r.options.Source)) {
		r.mountsChanged() // A directory above a mount was renamed meanwhile, of which no event of mounts tells.
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes, r.mounted = notes, len(mounts)
	for _, p := range r.places {
		if !present[p] {
			r.leftLocked(p)
		}
	}
	for _, p := range r.places {
		if p.parent != nil {
			if covered[p.parent] == nil {
				covered[p.parent] = make(map[weir.Handle]bool)
			}
			covered[p.parent][p.mountKey] = true
		}
	}
	for _, p := range r.places {
		for _, key := range p.cover(covered[p], unsure) {
			for _, u := range r.units {
				if u.place == p {
					u.add(replica.Item{Dir: key, Tree: true})
				}
			}
		}
	}
	for _, u := range r.units {
		for _, item := range pins[u.place] {
			u.add(item)
		}
		u.poke()
	}
	r.changed()
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

func (r *Replicator) rootPlace() *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.places[0]
}

// reconcileMount settles the place of one mount below the source. The error says why it is not followed.
func (r *Replicator) reconcileMount(ctx context.Context, m weir.Mount, rel string, present map[*place]bool, covered map[*place]map[weir.Handle]bool, pins map[*place][]replica.Item) error {
	volume, err := r.options.Discovery.At(m.Point)
	if err != nil {
		return fmt.Errorf("hidden by another mount: %w", err)
	}
	if !shows(volume, m.ID) {
		return nil // Another mount lies over it.
	}
	parent := r.placeAbove(rel, present)
	at, key, isDir, err := r.mountKey(ctx, parent, rel)
	if err != nil {
		return fmt.Errorf("its mount point cannot be reached: %w", err)
	}
	if why := r.leaveOut(volume, m, rel, isDir); why != "" {
		if covered[parent] == nil {
			covered[parent] = make(map[weir.Handle]bool)
		}
		covered[parent][key] = false
		return leftOut(why)
	}
	p, err := r.placeFor(parent, key, rel)
	if err != nil {
		return err
	}
	present[p] = true
	p.mu.Lock()
	moved := p.rel != rel || p.mountKey != key
	p.rel, p.mountKey = rel, key
	p.mu.Unlock()
	if moved {
		if err := p.save(r); err != nil {
			return err
		}
	}
	r.settle(ctx, p, m.Point, nil)
	pins[parent] = append(pins[parent], replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpCreate})
	return nil
}

// leftOut is why a mount is not followed, of which it is known what it covers.
type leftOut string

func (l leftOut) Error() string { return string(l) }

func shows(v weir.Volume, mount uint64) bool {
	for _, m := range v.Info().Mounts {
		if m.ID == mount {
			return true
		}
	}
	return false
}

// leaveOut says why a mount is not followed, or nothing.
func (r *Replicator) leaveOut(v weir.Volume, m weir.Mount, rel string, isDir bool) string {
	switch {
	case r.options.OneVolume:
		return "left out by --one-volume"
	case v.Info().Pseudo:
		return "it is of a pseudo file system, which holds no data"
	case !isDir:
		return "a single file is mounted here; weir follows directories"
	case r.options.Rules.Excluded(rel, true):
		return "excluded"
	}
	for _, t := range r.targets {
		if inside(m.Point, t.path) || inside(t.path, m.Point) || r.showsTarget(v, m, t) {
			return "it shows the target " + weir.QuotePath(t.path)
		}
	}
	return ""
}

// placeAbove returns the deepest present place that has rel below it.
func (r *Replicator) placeAbove(rel string, present map[*place]bool) *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	best := r.places[0]
	for _, p := range r.places {
		if present[p] && p.rel != rel && (p.rel == "" || strings.HasPrefix(rel, p.rel+"/")) && len(p.rel) >= len(best.rel) {
			best = p
		}
	}
	return best
}

// placeFor returns the place of a mount point: the one on that directory, or the one that had this path
// before the directory was made anew, or a new one.
func (r *Replicator) placeFor(parent *place, key weir.Handle, rel string) (*place, error) {
	r.mu.Lock()
	var byPath *place
	next := uint32(0)
	for _, p := range r.places {
		next = max(next, p.id+1)
		if p.parent != parent {
			continue
		}
		if p.mountKey == key {
			r.mu.Unlock()
			return p, nil
		}
		if p.rel == rel {
			byPath = p
		}
	}
	r.mu.Unlock()
	if byPath != nil {
		return byPath, nil
	}
	if next > 0xffff {
		return nil, errors.New("more places than weir can number")
	}
	p := &place{id: next, parent: parent, rel: rel, mountKey: key}
	return p, r.addPlace(p)
}

// mountKey returns name and key of the directory that a mount below a place covers, by walking to it on a
// clone of the parent's mount, in which it is not covered.
func (r *Replicator) mountKey(ctx context.Context, parent *place, rel string) (at replica.Name, key weir.Handle, isDir bool, err error) {
	prefix, volume, key := parent.at()
	if volume == nil {
		return at, "", false, errors.New("the volume around it is not followed now")
	}
	lease, err := volume.Borrow(ctx, r.sourcePath(prefix))
	if err != nil {
		return at, "", false, err
	}
	defer lease.Close()
	dir, err := tree.Open(lease.FD())
	if err != nil {
		return at, "", false, err
	}
	defer func() { dir.Close() }()
	k := parent.keys()
	names := strings.Split(strings.TrimPrefix(strings.TrimPrefix(rel, prefix), "/"), "/")
	for i, name := range names {
		o, err := dir.Lookup(name)
		if err != nil {
			return at, "", false, err
		}
		at = replica.Name{Parent: key, Name: name}
		key, isDir = k.of(at, o), o.IsDir()
		if i == len(names)-1 {
			break
		}
		next, err := dir.OpenDir(name)
		if err != nil {
			return at, "", false, err
		}
		dir.Close()
		dir = next
	}
	return at, key, isDir, nil
}

// settle decides what to do with a place, given what stands there now.
func (r *Replicator) settle(ctx context.Context, p *place, path string, mountsBelow []weir.Mount) {
	volume, err := r.options.Discovery.At(path)
	if err != nil {
		r.mu.Lock()
		r.leftLocked(p)
		r.mu.Unlock()
		return
	}
	r.mu.Lock()
	_, attached := r.attached[volume.ID()]
	r.mu.Unlock()
	p.mu.Lock()
	same := p.volume != nil && p.volume.ID() == volume.ID()
	p.mu.Unlock()
	if same || !attached {
		if !same {
			r.mu.Lock()
			r.leftLocked(p)
			r.mu.Unlock()
		}
		return
	}
	if err := r.meet(ctx, p, path, volume); err != nil && ctx.Err() == nil {
		r.log.Warn("a volume cannot be followed yet", "place", p.label(), "error", err)
	}
}

// meet looks at a volume that has come to a place, and follows it unless that is in doubt.
func (r *Replicator) meet(ctx context.Context, p *place, path string, volume weir.Volume) error {
	lease, err := volume.Borrow(ctx, path)
	if err != nil {
		return err
	}
	defer lease.Close()
	root, err := tree.Open(lease.FD())
	if err != nil {
		return err
	}
	defer root.Close()
	self, err := root.Self()
	if err != nil {
		return err
	}
	info := volume.Info()
	mountRoot := false
	for _, m := range info.Mounts {
		mountRoot = mountRoot || m.Own && m.Point == path
	}
	p.mu.Lock()
	if p.known && p.mountRoot && !mountRoot {
		// The bare mount point: what lies in it is covered while the volume is there, and is not copied.
		p.volume, p.holding = nil, ""
		p.mu.Unlock()
		return nil
	}
	facts := policy.Place{Known: p.known, Found: true, Candidates: 1}
	if p.known {
		facts.Match = policy.Identify(p.identity, info.Identity)
		if keysOf(p.epoch).ofRoot(self) != p.root {
			facts.Match = policy.MatchOther
		}
	}
	p.mu.Unlock()
	if facts.Holds, facts.Sample, err = r.sample(p, root); err != nil {
		return err
	}
	facts.Candidates = r.candidates(info)
	r.follow(p, volume, info.Identity, self, mountRoot, r.options.Replaced.Decide(facts))
	return nil
}

// candidates counts the volumes that have the identity of one.
func (r *Replicator) candidates(info weir.VolumeInfo) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, v := range r.attached {
		if policy.Identify(v.Info().Identity, info.Identity) == policy.MatchSame {
			n++
		}
	}
	return max(n, 1)
}

const sampleSize = 16

// sample looks up some of what the index knows of the place on the volume that was found.
func (r *Replicator) sample(p *place, root *tree.Dir) (holds bool, result policy.Sample, err error) {
	k := p.keys()
	for _, u := range r.unitsOf(p) {
		count, err := u.ix.Count()
		if err != nil {
			return false, 0, err
		}
		holds = holds || count > 1
		nodes, err := u.ix.Sample(sampleSize)
		if err != nil {
			return false, 0, err
		}
		if len(nodes) < sampleSize && result == policy.SampleUntested {
			continue // So few files may well all have been deleted.
		}
		for _, n := range nodes {
			if n.Key == p.root || len(n.Names) == 0 {
				continue
			}
			if result == policy.SampleUntested {
				result = policy.SampleLost
			}
			if known(root, u, k, p.root, n) {
				return holds, policy.SampleResolved, nil
			}
		}
	}
	if holds && result == policy.SampleUntested {
		result = policy.SampleResolved // Too little is held to tell.
	}
	return holds, result, nil
}

// known reports whether the volume has the inode of a node.
func known(root *tree.Dir, u *unit, k keys, rootKey weir.Handle, n replica.Node) bool {
	if h, ok := k.handle(n.Key); ok {
		o, err := root.Probe(h)
		return err == nil && o.Type() == n.Source.Type()
	}
	path, parked, ok, err := names(u.ix, rootKey, n.Names[0].Parent)
	if err != nil || !ok || parked {
		return false
	}
	dir, err := root.Walk(path)
	if err != nil {
		return false
	}
	defer dir.Close()
	o, err := dir.Lookup(n.Names[0].Name)
	return err == nil && o.Type() == n.Source.Type()
}

// follow carries a decision out.
func (r *Replicator) follow(p *place, volume weir.Volume, id weir.Identity, self tree.Object, mountRoot bool, d policy.Decision) {
	if d.Action == policy.ActionHold || d.Action == policy.ActionAbsent {
		r.hold(p, volume, d.Reason)
		return
	}
	p.mu.Lock()
	switch {
	case d.Action != policy.ActionFollow:
		p.epoch++
		p.merge = d.Action == policy.ActionMerge
	case p.known && (keysOf(p.epoch).ofRoot(self) != p.root || policy.Identify(p.identity, id) == policy.MatchOther):
		p.epoch++
	}
	p.volume = nil // Until the walk is owed.
	p.holding, p.identity, p.mountRoot = "", id, mountRoot
	p.root = keysOf(p.epoch).ofRoot(self)
	p.mu.Unlock()
	p.foreign.clear()
	if err := p.save(r); err != nil {
		r.log.Error("the index does not take a place", "place", p.label(), "error", err)
		return
	}
	// The walk is owed before the volume shows: no unit works on it without.
	units := r.unitsOf(p)
	for _, u := range units {
		u.scanWanted(scanRequest{audit: true, reason: "the volume has come"})
	}
	p.mu.Lock()
	p.volume = volume
	p.mu.Unlock()
	for _, u := range units {
		u.poke()
	}
	r.log.Info("volume is followed", "place", p.label(), "volume", volume.ID(), "type", id.FSType, "why", d.Reason)
}

// hold leaves the replica of a place as it is although a volume is there.
func (r *Replicator) hold(p *place, volume weir.Volume, reason string) {
	p.mu.Lock()
	before := p.holding
	p.volume, p.holding = volume, reason
	p.mu.Unlock()
	if before != reason {
		r.log.Warn("place is held: nothing is changed on its replica", "place", p.label(), "reason", reason,
			"hint", "say --replaced merge or --replaced mirror if this is right, or mount the former volume")
	}
}

// leftLocked notes that the volume of a place is away. r.mu is held.
func (r *Replicator) leftLocked(p *place) {
	p.mu.Lock()
	had := p.volume != nil
	p.volume, p.holding = nil, ""
	p.mu.Unlock()
	if had {
		r.log.Warn("source absent: its replica stays as it is", "place", p.label())
	}
}

func (p *place) label() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rel == "" {
		return "/"
	}
	return weir.QuotePath("/" + p.rel)
}

// unitsOf returns the units of a place.
func (r *Replicator) unitsOf(p *place) []*unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*unit
	for _, u := range r.units {
		if u.place == p {
			list = append(list, u)
		}
	}
	return list
}

// placesIn returns the keys of the mount points in a place.
func (r *Replicator) placesIn(p *place) []weir.Handle {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []weir.Handle
	for _, q := range r.places {
		if q.parent == p {
			q.mu.Lock()
			list = append(list, q.mountKey)
			q.mu.Unlock()
		}
	}
	return list
}
