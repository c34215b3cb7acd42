package ledger

import (
	"errors"
	"slices"
	"time"

	"github.com/weirfs/weir"
)

// OpenGap records that filter has not covered the volume since from, the zero time if that is not known, and why. It returns
// the gap's number for CloseGap. One on a volume without a number, of which the identity or a mount point is known, waits for that
// volume. The gap is over at once if the volume has left, or is none that anybody knows.
func (l *Ledger) OpenGap(volume weir.VolumeInfo, filter string, from time.Time, cause string) (uint64, error) {
	return l.addGap(volume, Gap{Filter: filter, From: from, Cause: cause})
}

// Missed records a gap that is over: its Filter, From, Until, Cause, and ClosedBy if nobody looks for what it hid.
func (l *Ledger) Missed(volume weir.VolumeInfo, g Gap) error {
	_, err := l.addGap(volume, g)
	return err
}

func (l *Ledger) addGap(volume weir.VolumeInfo, g Gap) (uint64, error) {
	g.Volume, g.Source, g.Point, g.Identity = volume.ID, weir.QuotePath(volume.Source), pointOf(volume), volume.Identity
	g.From, g.Until = g.From.Round(0), g.Until.Round(0)
	err := l.append(func(r *record) {
		g.ID, g.Session = l.book.lastGap+1, l.book.session
		v := l.book.volumes[volumeKey{l.book.session, volume.ID}]
		nobodys := volume.ID == 0 && !identified(volume.Identity) && pointOf(volume) == ""
		if !g.Open() || nobodys || v != nil && !v.Left.IsZero() {
			g.end(r.At)
		}
		r.Kind, r.Gap = kindGap, &g
	})
	return g.ID, err
}

// CloseGap records that a scan, which by names, has looked at everything that the gap hid. Closing a gap
// that is closed, or not known, does nothing.
func (l *Ledger) CloseGap(id uint64, by string) error {
	l.mu.Lock()
	g := l.book.gaps[id]
	open := g != nil && g.Open()
	l.mu.Unlock()
	if !open {
		return nil
	}
	return l.append(func(r *record) { r.Kind, r.Closed, r.By = kindClosed, id, by })
}

// CloseGaps closes every gap of filter on the volume that began before the scan did, and was over if its end is known, also
// those that former sessions left on a volume of the same identity.
func (l *Ledger) CloseGaps(volume weir.VolumeInfo, filter string, scanBegan time.Time, by string) error {
	var errs []error
	for _, id := range l.openGaps(volume, filter, scanBegan) {
		errs = append(errs, l.CloseGap(id, by))
	}
	return errors.Join(errs...)
}

// openGaps returns the open gaps of a filter on a volume that a scan which begins then can close, the oldest first.
func (l *Ledger) openGaps(volume weir.VolumeInfo, filter string, until time.Time) (ids []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, g := range l.book.gaps {
		if g.Open() && g.Filter == filter && g.On(l.book.session, volume) && !g.From.After(until) && !g.Until.After(until) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Gaps returns the gaps, open ones and the latest closed ones, the oldest first.
func (l *Ledger) Gaps() []Gap {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.sortedGaps()
}

// Dropped returns how many open gaps on volumes that had left were forgotten, the oldest of very many.
func (l *Ledger) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.dropped
}

// pointOf returns where a volume is mounted in weir's own namespace, or was.
func pointOf(info weir.VolumeInfo) string {
	for _, m := range slices.Concat(info.Mounts, info.Was) {
		if m.Own {
			return weir.QuotePath(m.Point)
		}
	}
	return ""
}

// On tells whether the gap is on the volume of a session: on this very one, or on what a former session, or a former
// mount, knew by the same identity, or at the same place where volumes have none.
func (g Gap) On(session uint64, volume weir.VolumeInfo) bool {
	if g.Session == session && g.Volume == volume.ID {
		return true
	}
	over := g.Session != session || !g.To.IsZero()
	return (over || g.Volume == 0) && (sameIdentity(g.Identity, volume.Identity) || g.samePlace(volume))
}

// samePlace reports whether the gap is on a volume that nothing tells from others, as FUSE file systems are: one of the same
// type and source that is mounted where the gap's was counts as the same then. A scan finds what was missed there, whatever it is.
func (g Gap) samePlace(volume weir.VolumeInfo) bool {
	if identified(g.Identity) || identified(volume.Identity) || g.Identity.FSType != volume.Identity.FSType {
		return false
	}
	if g.Volume != 0 && g.Source != weir.QuotePath(volume.Source) {
		return false // Of one without a number the place is all that is known.
	}
	return slices.ContainsFunc(volume.Mounts, func(m weir.Mount) bool { return m.Own && weir.QuotePath(m.Point) == g.Point })
}

// sameIdentity reports whether both are of one volume. Of a volume that left before it could be looked at hardly
// anything is known, which proves nothing.
func sameIdentity(a, b weir.Identity) bool {
	return identified(a) && a.FSType == b.FSType && a.UUID == b.UUID && a.FSID == b.FSID &&
		a.RootHandle == b.RootHandle && a.RootBirth.Equal(b.RootBirth)
}

// identified reports whether enough is known of a volume to know it again.
func identified(id weir.Identity) bool { return id.UUID != "" || id.FSID != "" || id.RootHandle != "" }
