package replicate

import (
	"fmt"
	"time"

	"github.com/weirfs/weir"
)

// noteOverdue records where nothing has looked although the time has come: what happens there goes unseen until a walk that
// begins later has ended.
func (r *Replicator) noteOverdue() {
	for _, p := range r.allPlaces() {
		volume, since := r.overdue(p)
		p.mu.Lock()
		news := !since.IsZero() && p.overdue.IsZero()
		p.overdue = since
		p.mu.Unlock()
		if news {
			r.gapSince(volume.Info(), since, "its scan is overdue: what has happened since the last one was not seen")
		}
	}
}

// overdue returns since when nobody has looked at a place whose volume does not tell of all that happens; zero if that is
// not due yet. A replica that a target keeps back does not count while the walk of another one has seen the place.
func (r *Replicator) overdue(p *place) (volume weir.Volume, since time.Time) {
	p.mu.Lock()
	volume, came, held := p.volume, p.came, p.holding != ""
	p.mu.Unlock()
	if volume == nil || held || volume.Info().Sight >= weir.SightFull {
		return volume, time.Time{}
	}
	for _, u := range r.unitsOf(p) {
		looked, late := u.looked(came)
		if !late {
			return volume, time.Time{}
		}
		if looked.After(since) {
			since = looked
		}
	}
	return volume, since
}

// looked returns when the last walk of the whole place began that has ended since its volume came, or when that came, and
// whether the next one should have ended by now. One that takes long is not late while it gets on.
func (u *unit) looked(came time.Time) (began time.Time, late bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	began, ended := u.status.scanBegan, u.status.lastScan
	if began.Before(came) {
		began, ended = came, came
	}
	getsOn := u.busy && u.status.outage == nil && u.silentLocked() == 0
	return began, !getsOn && time.Since(ended) > u.r.options.ScanInterval+patience
}

// lookedAt notes that a walk of the whole place has ended.
func (p *place) lookedAt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overdue = time.Time{}
}

// overdueWhy says that nothing has looked since a time, of what is to be scanned at intervals.
func overdueWhy(since time.Time, interval time.Duration) string {
	return fmt.Sprintf("what has happened since %s was not looked at, and it is to be scanned every %v", since.Format(time.DateTime), interval)
}

const todoOverdue = "see whether its file system answers, and whether the targets are there"
