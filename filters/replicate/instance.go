package replicate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// instance is the replicator on one volume.
type instance struct {
	r      *Replicator
	volume weir.Volume
	known  weir.VolumeInfo // without the mounts of other namespaces; of Changed alone
	since  time.Time       // of its set-up
	unseen uint64          // the gap from the mount to the set-up; 0 if there is none
}

// here is what is known of a volume without the mounts of other namespaces: sources and targets are what weir's own
// shows.
func here(volume weir.Volume) weir.VolumeInfo {
	info := volume.Info()
	info.Mounts = slices.DeleteFunc(info.Mounts, func(m weir.Mount) bool { return !m.Own })
	return info
}

// asked takes note of a volume, and declines it if it shows no part of the source.
func (r *Replicator) asked(ctx context.Context, volume weir.Volume) error {
	now := here(volume)
	if len(now.Mounts) == 0 {
		return r.nothingOf() // It is a container's: nothing of source and targets is looked at for it.
	}
	if err := r.declinedBefore(volume, now); err != nil {
		return err
	}
	if r.isAttached(volume) {
		r.foreseeAnew(ctx, volume)
		return r.concerns(ctx, volume) // Its instance looks at what has changed.
	}
	r.kick() // A target may be on it.
	r.askTargets()
	r.coverTargets()
	r.mountsChanged() // Also what is left out covers something.
	err := r.concerns(ctx, volume)
	r.answered(volume, now, err)
	return err
}

func (r *Replicator) isAttached(volume weir.Volume) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attached[volume.ID()] != nil
}

// declined is a volume that is none of the replicator's business, as it was.
type declined struct {
	info weir.VolumeInfo
	err  error
}

// declinedBefore returns the answer of before about a volume that has not changed: containers come and go, and all that
// changes with them is in how many other namespaces it is shown.
func (r *Replicator) declinedBefore(volume weir.Volume, now weir.VolumeInfo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.declined[volume.ID()]; reflect.DeepEqual(before.info, now) {
		return before.err
	}
	return nil
}

// manyVolumes is how many volumes are remembered of which nobody tells when they leave.
const manyVolumes = 1000

func (r *Replicator) answered(volume weir.Volume, now weir.VolumeInfo, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.declined, volume.ID())
	if len(r.declined) >= manyVolumes {
		clear(r.declined)
	}
	if errors.Is(err, weir.ErrDecline) {
		r.declined[volume.ID()] = declined{now, err}
	}
}

// setup takes a volume that shows a part of the source still.
func (r *Replicator) setup(ctx context.Context, site weir.Site) (weir.Instance, error) {
	volume := site.Volume
	known := here(volume)
	if err := r.concerns(ctx, volume); err != nil {
		return nil, err
	}
	i := &instance{r: r, volume: volume, known: known, since: time.Now()}
	if site.Reason == weir.SetupNewlyMounted && !known.Coming() {
		i.unseen = r.gapOpened(known, "mounted by another program: what happened before its mark was not seen")
	}
	r.mu.Lock()
	r.attached[volume.ID()] = volume
	r.mu.Unlock()
	if site.Reason == weir.SetupManual || comes(known) {
		r.foresee(ctx, volume) // Somebody waits to be told what comes of it.
	}
	r.mountsChanged()
	return i, nil
}

// concerns declines a volume that shows no part of the source that is followed, and will not unless a mount of it comes or
// is uncovered: it is not asked about again before that. An instance on it would owe scans that nobody makes.
func (r *Replicator) concerns(ctx context.Context, volume weir.Volume) error {
	info := volume.Info()
	if by := r.excludes(info); by != "" {
		return fmt.Errorf("%w: the volume is left out by %s", weir.ErrDecline, by)
	}
	why := ""
	for _, m := range info.Mounts {
		if !m.Own || !inside(r.options.Source, m.Point) {
			continue
		}
		if m.Point == r.options.Source {
			return nil
		}
		if why = r.leaveOut(info, m, relative(r.options.Source, m.Point), !r.showsFile(ctx, volume, m)); why == "" {
			return nil
		}
	}
	if r.rootPlace().wasIn(info.Identity) && slices.ContainsFunc(info.Mounts, func(m weir.Mount) bool {
		return m.Own && inside(m.Point, r.options.Source)
	}) {
		return nil // What is mounted on the directory may leave.
	}
	switch near, err := r.nearest(); {
	case err != nil && !slices.ContainsFunc(info.Mounts, func(m weir.Mount) bool { return m.Own && inside(m.Point, r.options.Source) }):
		return r.nothingOf() // The source does not answer; but it is on none of the volume's mounts.
	case err != nil:
		return err
	case near.ID() == volume.ID():
		return nil
	case why != "":
		return fmt.Errorf("%w: the volume is not followed: %s", weir.ErrDecline, why)
	}
	return r.nothingOf()
}

// showsFile reports whether a mount shows a single file of a volume, as a bind mount can. One of which that is not known counts
// as that of a directory.
func (r *Replicator) showsFile(ctx context.Context, volume weir.Volume, m weir.Mount) bool {
	if m.Root == "/" || m.Coming {
		return false
	}
	_, err := look(ctx, r, volume, m.Point, func(*tree.Dir) (none struct{}, err error) { return none, nil })
	return errors.Is(err, syscall.ENOTDIR)
}

func (r *Replicator) nothingOf() error {
	return fmt.Errorf("%w: the volume shows no part of %s", weir.ErrDecline, weir.QuotePath(r.options.Source))
}

// nearest returns the volume that shows the source or, while that is away, would show it if it were made.
func (r *Replicator) nearest() (weir.Volume, error) {
	for path := r.options.Source; ; path = filepath.Dir(path) {
		volume, err := r.at(path)
		if err == nil || weir.KindOf(err) != weir.KindAbsent || path == "/" {
			return volume, err
		}
	}
}

// Completed marks what the operations touched as dirty, in every place that shows the volume.
func (i *instance) Completed(operations []weir.Operation) {
	if i.r.draining.Load() {
		return
	}
	for _, p := range i.r.placesOn(i.volume) {
		k := p.keys()
		units := i.r.unitsOf(p)
		for n := range operations {
			if op := &operations[n]; markOperation(p, k, units, op) || i.r.stirsAnchor(p, op) {
				i.r.mountsHinted() // There may be mounts in what has been moved.
			}
			if p.mayStray(&operations[n]) {
				for _, u := range units {
					u.seek()
				}
			}
		}
		for _, u := range units {
			u.poke()
		}
	}
}

const (
	entryOps   = weir.OpCreate | weir.OpDelete | weir.OpRename
	contentOps = weir.OpModify | weir.OpClose | weir.OpAttrib
)

// markOperation marks what an operation touched, and reports whether it was a directory that has another parent now.
func markOperation(p *place, k keys, units []*unit, op *weir.Operation) (moved bool) {
	var object weir.Handle
	if !op.IsDir && op.Object != "" && op.Ops&contentOps != 0 {
		object = k.ofHandle(op.Object)
	}
	from := markEntry(p, k, units, op.Dir, op.Name, op.Ops, object)
	if op.Ops&weir.OpRename == 0 || op.NewDir == "" {
		return false
	}
	to := markEntry(p, k, units, op.NewDir, op.NewName, op.Ops, object)
	if op.IsDir && from != to {
		p.foreign.clear()
	}
	return op.IsDir && (from || to) && op.Dir != op.NewDir
}

// markEntry marks one directory entry. Where its directory is unknown, or known to be foreign, the inode alone counts.
func markEntry(p *place, k keys, units []*unit, dir weir.Handle, name string, ops weir.Ops, object weir.Handle) (ours bool) {
	key := k.ofHandle(dir)
	ours = dir != "" && !p.foreign.has(key)
	for _, u := range units {
		u.mu.Lock()
		switch {
		case !ours:
			u.hearLocked(object, ops)
		case name == "" || name == ".":
			u.addLocked(replica.Item{Dir: key})
		default:
			u.addLocked(replica.Item{Dir: key, Name: name, Ops: ops, Object: object})
			if ops&entryOps != 0 {
				u.addLocked(replica.Item{Dir: key}) // Its times have moved.
			}
		}
		u.mu.Unlock()
	}
	return ours
}

// Lost has every place of the volume walked.
func (i *instance) Lost(reason string) {
	i.r.gapOpened(i.volume.Info(), reason)
	i.r.mountsHinted() // Directories may have been moved, with mounts in them.
	for _, p := range i.r.placesOn(i.volume) {
		p.foreign.clear()
		p.loseWay()
		for _, u := range i.r.unitsOf(p) {
			u.scanWanted(scanRequest{reason: "events were lost: " + reason})
		}
	}
}

// Changed looks at the mounts again. Those of other namespaces come and go with containers, and mean nothing here.
func (i *instance) Changed() {
	now := here(i.volume)
	if reflect.DeepEqual(now, i.known) {
		return
	}
	i.known = now
	i.r.coverTargets()
	i.r.mountsChanged()
}

// Teardown ends the instance: its places are without a volume from now on. A shutdown says nothing about volumes,
// and Run has ended by then.
func (i *instance) Teardown(_ context.Context, reason weir.TeardownReason) {
	if reason == weir.TeardownShutdown {
		return
	}
	compared := i.ended(reason)
	switch reason {
	case weir.TeardownVolumeLeft:
		i.leftEarly(compared)
	case weir.TeardownUnconcerned:
		i.settled()
	}
	i.r.mountsChanged()
}

// ended takes the volume from its places in one step, so that no survey finds it missing before it is known why. It
// returns when the last comparison of all of it began.
func (i *instance) ended(reason weir.TeardownReason) (compared time.Time) {
	excluded := ""
	if reason == weir.TeardownExcluded {
		excluded = i.r.excludes(i.volume.Info())
	}
	i.r.mu.Lock()
	defer i.r.mu.Unlock()
	delete(i.r.attached, i.volume.ID())
	compared = i.r.compared[i.volume.ID()]
	delete(i.r.compared, i.volume.ID())
	i.r.believeLocked(i.volume.ID())
	for _, p := range i.r.places {
		p.believe(i.volume.ID())
		if p.shows(i.volume) {
			i.r.leftLocked(p, reason)
			p.exclude(excluded)
		}
	}
	return compared
}

// placesOn returns the places that show a volume.
func (r *Replicator) placesOn(volume weir.Volume) []*place {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*place
	for _, p := range r.places {
		p.mu.Lock()
		if p.volume != nil && p.volume.ID() == volume.ID() && p.holding == "" {
			list = append(list, p)
		}
		p.mu.Unlock()
	}
	return list
}
