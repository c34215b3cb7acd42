package replicate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
)

// buried is why a volume is not followed that has come over a directory.
type buried string

func (b buried) Error() string { return string(b) + ": " + todoBuried }

// buries says why a volume is not followed that has come over a directory: following it would set aside what the replica
// holds there, and that is another volume's too, or more than the brake lets go. It may have come by mistake, or for a moment.
func (r *Replicator) buries(parent *place, key weir.Handle, rel string) error {
	if known, _ := r.knownPlace(parent, key, rel); known != nil || r.options.Replaced != policy.ReplacedHold {
		return nil
	}
	for _, u := range r.unitsOf(parent) {
		n, keeps, err := u.weigh(key)
		switch {
		case err != nil:
			return err
		case keeps:
			return buried("it covers the replica of another volume")
		case n > 1 && !u.allows(n-1):
			return buried(fmt.Sprintf("it covers %d names, more than --max-delete lets go", n-1))
		}
	}
	return nil
}

// weigh is batch.weigh outside of a batch.
func (u *unit) weigh(top weir.Handle) (n int, keeps bool, err error) {
	b := u.newBatch(nil, walkMode{})
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	return b.weigh(top)
}

// allows reports whether the brake would let n names go.
func (u *unit) allows(n int) bool {
	total, err := u.ix.Count()
	u.mu.Lock()
	defer u.mu.Unlock()
	return err == nil && u.brake.Allows(n, total)
}

// burial is a mount that is not followed since it has come over a directory of a place, or will not be when it comes.
type burial struct {
	in     *place
	volume weir.VolumeID
	path   string
	why    buried
	since  time.Time
}

func (b burial) remark() weir.Remark {
	return weir.Remark{Volume: b.volume, Path: b.path, Held: true, Why: string(b.why), Todo: todoBuried}
}

// bury notes that a volume at a path is not followed, if err says that it is for what it covers.
func bury(list []burial, in *place, volume weir.Volume, path string, err error) []burial {
	var why buried
	if !errors.As(err, &why) {
		return list
	}
	return append(list, burial{in, volume.ID(), path, why, time.Now()})
}

// foreseeBurial notes that a volume will not be followed where weir is about to mount it.
func (r *Replicator) foreseeBurial(ctx context.Context, volume weir.Volume, path string) {
	if path == r.options.Source || !inside(r.options.Source, path) {
		return
	}
	rel, present := relative(r.options.Source, path), make(map[*place]bool)
	for _, p := range r.allPlaces() {
		present[p] = !p.isAway()
	}
	parent := r.placeAbove(rel, present)
	_, key, _, err := r.mountKey(ctx, parent, rel)
	if err != nil {
		return // The survey finds out when it has come.
	}
	err = r.buries(parent, key, rel)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.foreseen = bury(r.foreseen, parent, volume, path, err)
}

// believeLocked forgets that a volume will not be followed. r.mu is held.
func (r *Replicator) believeLocked(volume weir.VolumeID) {
	r.foreseen = slices.DeleteFunc(r.foreseen, func(b burial) bool { return b.volume == volume })
}

// buriedLocked takes in what a survey has found. r.mu is held.
func (r *Replicator) buriedLocked(s *survey) {
	for i, now := range s.buried {
		for _, before := range r.buried {
			if now.path == before.path && now.volume == before.volume {
				s.buried[i].since = before.since
			}
		}
	}
	r.buried = s.buried
	for volume := range s.met {
		r.believeLocked(volume)
	}
}

// burials lists the mounts that are not followed for what they cover, and those that will not be.
func (r *Replicator) burials() []burial {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.buried, r.foreseen)
}

// buried lists the mounts in the unit's place whose content is not on its replica.
func (u *unit) buried() (list []Problem) {
	for _, b := range u.r.burials() {
		if b.in == u.place {
			list = append(list, Problem{
				Path: cmp.Or(relative(u.r.options.Source, b.path), self), Target: u.target.Path(), Since: b.since,
				Reason: "a volume is mounted here that is not followed: " + b.why.Error(),
			})
		}
	}
	return list
}
