package replicate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/weirfs/weir"
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
	Merge     bool          `json:"merge,omitempty"`
	Handle    []byte        `json:"handle"` // identity's root handle, which JSON would not keep

	inParent string // Rel from the root of the parent
}

func (rec placeRecord) isRoot() bool { return rec.ID == rec.Parent }

// name is the record's in the index.
func (rec placeRecord) name() string { return fmt.Sprint(placePrefix, rec.ID) }

const placePrefix = "place/"

// placeRecords reads what the index remembers of places, outer ones first.
func (r *Replicator) placeRecords() (records []placeRecord, err error) {
	db := r.options.Index
	names, err := db.MetaKeys(placePrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := db.Meta(name)
		if err != nil {
			return nil, err
		}
		var rec placeRecord
		if err := json.Unmarshal(text, &rec); err != nil {
			return nil, fmt.Errorf("read %s of the index: %w", name, err)
		}
		rec.Identity.RootHandle = weir.Handle(rec.Handle)
		records = append(records, rec)
	}
	sort.Slice(records, func(i, j int) bool { return records[i].ID < records[j].ID })
	rels := make(map[uint32]string)
	for i := range records {
		rec := &records[i]
		rels[rec.ID] = string(rec.Rel)
		rec.inParent = relative(rels[rec.Parent], string(rec.Rel))
	}
	return records, nil
}

// loadPlaces makes the places that the index remembers, and the root.
func (r *Replicator) loadPlaces() error {
	records, err := r.placeRecords()
	if err != nil {
		return err
	}
	byID := make(map[uint32]*place)
	for _, rec := range records {
		p := &place{
			id: rec.ID, rel: string(rec.Rel), mountKey: weir.Handle(rec.MountKey), epoch: rec.Epoch,
			root: weir.Handle(rec.Root), mountRoot: rec.MountRoot, merge: rec.Merge, identity: rec.Identity, known: true,
		}
		if !rec.isRoot() {
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
	p.saving.Lock()
	defer p.saving.Unlock()
	p.mu.Lock()
	rec := placeRecord{
		ID: p.id, Parent: p.id, Rel: []byte(p.rel), MountKey: []byte(p.mountKey), Epoch: p.epoch, Root: []byte(p.root),
		MountRoot: p.mountRoot, Merge: p.merge, Identity: p.identity, Handle: []byte(p.identity.RootHandle),
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
	return r.options.Index.SetMeta(rec.name(), text)
}

// allPlaces returns the places that there are. Places are added, and none is taken away.
func (r *Replicator) allPlaces() []*place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.places
}

func (r *Replicator) rootPlace() *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.places[0]
}

// pathOf returns the absolute path of a place.
func (r *Replicator) pathOf(p *place) string {
	rel, _, _ := p.at()
	return r.sourcePath(rel)
}

// label is what the log calls a place: the path that its phases are told with.
func (r *Replicator) label(p *place) weir.LogPath { return weir.LogPath(r.pathOf(p)) }

// anyPlaceIn reports whether volumes are, or were, mounted in a place.
func (r *Replicator) anyPlaceIn(p *place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.places, func(q *place) bool { return q.parent == p })
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
// before the directory was made anew, or a new one, which the index knows from now on.
func (r *Replicator) placeFor(parent *place, key weir.Handle, rel string) (*place, error) {
	p, next := r.knownPlace(parent, key, rel)
	if p != nil {
		return p, nil
	}
	if next > 0xffff {
		return nil, errors.New("more places than weir can number")
	}
	p = &place{id: next, parent: parent, rel: rel, mountKey: key}
	return p, errors.Join(r.addPlace(p), p.save(r)) // So that it can be forgotten, also if its volume leaves at once.
}

// knownPlace returns the place of a mount point if there is one, and the number of the next place.
func (r *Replicator) knownPlace(parent *place, key weir.Handle, rel string) (known *place, next uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.places {
		if next = max(next, p.id+1); p.parent != parent {
			continue
		}
		if p.anchor() == key {
			return p, 0
		}
		if p.rel == rel {
			known = p
		}
	}
	return known, next
}

// placeShowing returns the place at a path if it shows a volume now.
func (r *Replicator) placeShowing(v weir.Volume, rel string) *place {
	for _, p := range r.placesOn(v) {
		if at, _, _ := p.at(); at == rel {
			return p
		}
	}
	return nil
}
