package replicate

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirfs/weir"
)

// Why there are gaps on volumes that have left: what was on them then may not be on the replicas.
const (
	leftEarly  = "left before its scan ended"
	leftUnmet  = leftEarly + ": it had gone before it could be followed"
	leftUnseen = leftEarly + ": it had gone before it could be looked at, and what it showed is not known"
)

// passed records that a volume was never followed which may have shown a part of the source.
func (r *Replicator) passed(volume weir.VolumeInfo) {
	switch {
	case volume.ID == 0:
		r.gapOpened(volume, leftUnseen)
	case r.shows(volume):
		r.gapOpened(volume, leftUnmet)
	}
}

// leftEarly records that the volume was not compared as a whole while it was there. The gap that is open since it was
// mounted is then a part of that one. at is when its last whole comparison began.
func (i *instance) leftEarly(at time.Time) {
	if at.After(i.since) || !i.r.shows(i.known) || i.known.Coming() && len(i.volume.Info().Was) == 0 {
		return // Of what weir did not mount in the end, nobody could use anything.
	}
	early := i.r.gapSince(i.known, i.since, leftEarly)
	if i.unseen == 0 {
		return
	}
	if err := i.r.options.Gaps.CloseGap(i.unseen, fmt.Sprintf("gap %d: %s", early, leftEarly)); err != nil {
		i.r.log.Error("the ledger does not close a gap", "volume", i.volume.ID(), "error", err)
	}
}

// settled closes the gaps of a volume that stays, and shows nothing of the source any more: nobody will look for what they hid
// there, and what is mounted below the source again is compared then.
func (i *instance) settled() {
	if i.r.options.Gaps == nil {
		return
	}
	const by = "the volume shows no part of the source any more; it is compared when it does again"
	if err := i.r.options.Gaps.CloseGaps(i.volume.Info(), filterName, time.Now(), by); err != nil {
		i.r.log.Error("the ledger does not close a gap", "volume", i.volume.ID(), "error", err)
	}
}

// shows reports whether a volume shows, or showed before it left, a part of the source that is replicated.
func (r *Replicator) shows(volume weir.VolumeInfo) bool {
	source := r.options.Source
	return slices.ContainsFunc(slices.Concat(volume.Mounts, volume.Was), func(m weir.Mount) bool {
		switch {
		case !m.Own:
			return false
		case inside(m.Point, source):
			return !volume.Pseudo && r.excludes(volume) == ""
		}
		return inside(source, m.Point) && r.leaveOut(volume, m, relative(source, m.Point), true) == ""
	})
}
