package replicate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// Act is what a mirror would do with one path.
type Act string

// Acts, in the order in which totals are told.
const (
	ActCopy     Act = "copy"
	ActUpdate   Act = "update"       // the content, or all of a symbolic link or device
	ActMetadata Act = "set metadata" // of what is there otherwise
	ActTake     Act = "take over"    // what the target has already, and is equal
	ActRename   Act = "rename"
	ActLink     Act = "link"
	ActDelete   Act = "delete"
	ActAside    Act = "set aside"
	ActLeave    Act = "leave out"
	ActCannot   Act = "cannot store"
	ActHold     Act = "hold" // what stays as it is, and why
	ActForget   Act = "forget"
	ActFail     Act = "cannot read"
)

// Acts lists every act.
func Acts() []Act {
	return []Act{ActCopy, ActUpdate, ActMetadata, ActTake, ActRename, ActLink, ActDelete, ActAside, ActLeave, ActCannot, ActHold, ActForget, ActFail}
}

// Change is one path of a dry run.
type Change struct {
	Act    Act    `json:"act"`
	Path   string `json:"path"` // relative to SOURCE, and to the target
	Target string `json:"target"`
	From   string `json:"from,omitempty"`  // of a rename or link
	Bytes  int64  `json:"bytes,omitempty"` // of a file that is copied or updated
	Reason string `json:"reason,omitempty"`
}

// Total is the sum of a dry run for one target.
type Total struct {
	Target  string        `json:"target"`
	Counts  map[Act]int64 `json:"counts"`
	Bytes   int64         `json:"bytes"`             // of the source to read, to copy and to compare, at the most
	Held    int64         `json:"held"`              // deletions that the brake would hold
	Brake   string        `json:"brake"`             // the limit, in words
	Missing []string      `json:"missing,omitempty"` // what the target cannot store, as far as that is known
	Untried bool          `json:"untried"`           // whether it is not known yet
}

// DryRun tells what a run to the end would change, path by path, and changes neither source nor targets. It
// is called instead of Prepare and Run. It writes to the index, so that must be a copy. Errors of KindRefused
// are those of Prepare.
func (r *Replicator) DryRun(ctx context.Context, tell func(Change)) ([]Total, error) {
	forgotten, err := r.toForget()
	if err != nil {
		return nil, err
	}
	if err := r.prepareAll(ctx, true); err != nil {
		return nil, err
	}
	r.dry = true
	if err := r.forgetAll(forgotten); err != nil {
		return nil, err
	}
	if err := r.loadPlaces(); err != nil {
		return nil, err
	}
	if err := r.attachAll(ctx); err != nil {
		return nil, err
	}
	r.reconcile()
	var totals []Total
	for _, t := range r.targets {
		d := &dryTarget{r: r, t: t, total: Total{Target: t.Path(), Counts: make(map[Act]int64), Brake: r.options.Brake.Words()}, tell: tell}
		for _, rec := range forgotten {
			d.say(Change{Act: ActForget, Path: string(rec.Rel), Reason: "what stands there is copied like any other directory"})
		}
		if err := d.run(ctx); err != nil {
			return nil, err
		}
		totals = append(totals, d.total)
	}
	return totals, nil
}

// attachAll takes the volumes that show the source as the manager would hand them over.
func (r *Replicator) attachAll(ctx context.Context) error {
	paths := []string{r.options.Source}
	for _, m := range r.options.Mounts.MountsBelow(r.options.Source) {
		paths = append(paths, m.Point)
	}
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	for _, path := range paths {
		v, err := r.at(path)
		switch {
		case err == nil:
			r.mu.Lock()
			r.attached[v.ID()] = v
			r.mu.Unlock()
		case weir.KindOf(err) != weir.KindAbsent:
			return err
		}
	}
	return nil
}

// dryTarget is the dry run of one target.
type dryTarget struct {
	r      *Replicator
	t      *target.Target
	h      *target.Hold // nil if the target does not exist yet
	limits tree.Limits
	tried  bool
	total  Total
	tell   func(Change)
}

func (d *dryTarget) say(c Change) {
	c.Target = d.t.Path()
	d.total.Counts[c.Act]++
	d.total.Bytes += c.Bytes
	d.tell(c)
}

func (d *dryTarget) run(ctx context.Context) error {
	if err := d.t.Aside(); err != nil {
		d.say(Change{Act: ActHold, Reason: err.Error()})
		return nil
	}
	h, err := d.t.Find(ctx)
	if weir.KindOf(err) == weir.KindAbsent || errors.Is(err, fs.ErrNotExist) {
		if d.t.Known() && !d.t.Adopts() {
			d.say(Change{Act: ActHold, Reason: err.Error()})
			return nil
		}
		if h, err = d.t.OpenRoot(ctx); weir.KindOf(err) == weir.KindAbsent || errors.Is(err, fs.ErrNotExist) {
			h, err = nil, nil
		}
	}
	if err != nil {
		return err
	}
	if d.h = h; h != nil {
		defer h.Close()
	}
	d.learnLimits()
	for _, n := range d.r.Status().Notes {
		d.say(Change{Act: ActLeave, Path: n.Path, Reason: n.Reason})
	}
	for _, p := range d.r.sortedPlaces() {
		if err := d.place(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// learnLimits asks the index what the target was found to store. Trying it would change the target.
func (d *dryTarget) learnLimits() {
	d.t.LoadLimits()
	d.limits, d.tried = d.t.Limits()
	d.total.Untried = !d.tried
	if d.tried {
		d.total.Missing = d.limits.Missing()
	}
}

// sortedPlaces returns the places, outer ones first.
func (r *Replicator) sortedPlaces() []*place {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := append([]*place(nil), r.places...)
	sort.Slice(list, func(i, j int) bool { return list[i].rel < list[j].rel })
	return list
}

// place tells about one place on the target.
func (d *dryTarget) place(ctx context.Context, p *place) error {
	rel, volume, root := p.at()
	p.mu.Lock()
	holding := p.holding
	p.mu.Unlock()
	switch {
	case holding != "":
		d.say(Change{Act: ActHold, Path: rel, Reason: holding + "; say --replaced merge or mirror if it is right"})
		return nil
	case d.r.leftOutBy(p) != "":
		d.say(Change{Act: ActHold, Path: rel, Reason: "left out by " + d.r.leftOutBy(p) + replicaStays})
		return nil
	case volume == nil:
		d.say(Change{Act: ActHold, Path: rel, Reason: "source absent" + replicaStays})
		return nil
	}
	u := d.r.unitOf(p, d.t)
	s := &session{u: u, keys: p.keys(), root: root, rel: rel, volume: volume}
	s.refs.Store(1)
	s.ctx, s.cancel = context.WithCancel(ctx)
	defer s.release()
	if err := s.openSource(volume); err != nil {
		return err
	}
	mode := walkMode{scan: true, full: u.owesContent() || s.noMapSign, audit: true}
	w := &dryWalk{dryTarget: d, u: u, s: s, mode: mode, found: make(map[weir.Handle]bool), linked: make(map[weir.Handle]string)}
	return w.run()
}

// top opens the directory of a place on the target. It is nil if there is none.
func (d *dryTarget) top(u *unit, rel string) *tree.Dir {
	if d.h == nil {
		return nil
	}
	path, err := u.rootNames()
	if err != nil && rel != "" { // Not copied yet; a target that is taken over may have it all the same.
		path = strings.Split(rel, "/")
	}
	dir, err := d.h.Root.Walk(path)
	if err != nil {
		return nil
	}
	return dir
}

// parking opens what has left a place on the target for now. It is nil if there is none.
func (d *dryTarget) parking(place uint32) *tree.Dir {
	if d.h == nil {
		return nil
	}
	dir, err := d.h.Root.Walk(strings.Split(target.ParkedPath(place), "/"))
	if err != nil {
		return nil
	}
	return dir
}

// cannot says why the target takes no such object, or nothing.
func (d *dryTarget) cannot(o replica.Attr, name string) string {
	if !d.tried {
		return ""
	}
	if what := target.Missing(d.limits, o, name); what != "" {
		return target.Unstorable(what).Error()
	}
	if !d.limits.AnyName && target.OddName(name) {
		return target.Unstorable("names with special characters, or some of them").Error()
	}
	return ""
}

// leftOut says by which rule or option an object is no part of the replica, or nothing.
func (r *Replicator) leftOut(path string, o replica.Attr) string {
	if pattern, excluded := r.options.Rules.ExcludedBy(path, o.IsDir()); excluded {
		return fmt.Sprintf("excluded by %s", weir.QuotePath(pattern))
	}
	if r.options.NoDevices && (o.Type() == replica.TypeChar || o.Type() == replica.TypeBlock) {
		return "a device, left out by --no-devices"
	}
	return ""
}
