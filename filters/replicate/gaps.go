package replicate

import (
	"time"

	"github.com/weirfs/weir"
)

// Gaps is the part of the ledger in which the filter records the intervals that it did not see.
type Gaps interface {
	OpenGap(volume weir.VolumeInfo, filter string, from time.Time, cause string) (uint64, error)
	CloseGap(id uint64, by string) error
	CloseGaps(volume weir.VolumeInfo, filter string, scanBegan time.Time, by string) error
}

// gapOpened records that what happens on a volume from now on may go unseen, until a walk that begins
// later has ended. It returns the gap's number, 0 if there is none.
func (r *Replicator) gapOpened(volume weir.VolumeInfo, cause string) uint64 {
	return r.gapSince(volume, time.Now(), cause)
}

func (r *Replicator) gapSince(volume weir.VolumeInfo, from time.Time, cause string) uint64 {
	if r.options.Gaps == nil {
		return 0
	}
	id, err := r.options.Gaps.OpenGap(volume, filterName, from, cause)
	if err != nil {
		r.log.Error("the ledger does not take a gap", "volume", volume.ID, "cause", cause, "error", err)
	}
	return id
}

// unremembered is why there are gaps on volumes of which the ledger does not tell what happened.
const unremembered = "the ledger was lost or damaged: what happened before is not known"

// Unremembered records that the ledger does not know what happened on the volumes that were followed before, and reports
// whether there are any. The comparison at the start closes the gaps. It is called once, before Run.
func (r *Replicator) Unremembered() (any bool) {
	for _, p := range r.places {
		if !p.known || r.leftOutBy(p) != "" {
			continue
		}
		// The index has the identity, or the place where there is none, by which the gap is closed. Of the source it has the place
		// alone, and no time at all.
		volume := weir.VolumeInfo{Source: r.sourcePath(p.rel), Identity: p.identity}
		if p.mountRoot {
			volume.Mounts = []weir.Mount{{Point: volume.Source, Own: true}}
		}
		r.gapSince(volume, time.Time{}, unremembered)
		any = true
	}
	return any
}

// gapsClosed records that a walk has closed the gaps of a volume that were open when it began, if the walks
// of all other replicas of that volume have done so too.
func (r *Replicator) gapsClosed(u *unit) {
	_, volume, _ := u.place.at()
	if r.options.Gaps == nil || volume == nil {
		return
	}
	began := time.Now()
	for _, p := range r.placesOn(volume) {
		for _, other := range r.unitsOf(p) {
			other.mu.Lock()
			if other.status.scanBegan.Before(began) {
				began = other.status.scanBegan
			}
			other.mu.Unlock()
		}
	}
	if began.IsZero() {
		return
	}
	r.mu.Lock()
	if r.attached[volume.ID()] != nil {
		r.compared[volume.ID()] = began
	}
	r.mu.Unlock()
	if err := r.options.Gaps.CloseGaps(volume.Info(), filterName, began, "comparison of "+u.r.label(u.place).String()); err != nil {
		r.log.Error("the ledger does not close a gap", "volume", volume.ID(), "error", err)
	}
}
