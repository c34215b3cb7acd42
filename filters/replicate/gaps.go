package replicate

import (
	"time"

	"github.com/weirfs/weir"
)

// Gaps is the part of the ledger in which the filter records the intervals that it did not see.
type Gaps interface {
	OpenGap(volume weir.VolumeInfo, filter string, from time.Time, cause string) (uint64, error)
	CloseGaps(volume weir.VolumeInfo, filter string, scanBegan time.Time, by string) error
}

// gapOpened records that what happens on a volume from now on may go unseen, until a walk that begins
// later has ended.
func (r *Replicator) gapOpened(volume weir.Volume, cause string) {
	if r.options.Gaps == nil {
		return
	}
	if _, err := r.options.Gaps.OpenGap(volume.Info(), filterName, time.Now(), cause); err != nil {
		r.log.Error("the ledger does not take a gap", "volume", volume.ID(), "cause", cause, "error", err)
	}
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
	if err := r.options.Gaps.CloseGaps(volume.Info(), filterName, began, "comparison of "+u.place.label().String()); err != nil {
		r.log.Error("the ledger does not close a gap", "volume", volume.ID(), "error", err)
	}
}
