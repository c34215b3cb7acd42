package replicate

import (
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
)

// counters are totals of the whole mirror since its start.
type counters struct {
	files, dirs, read, written, seen, removed atomic.Int64
}

// passed counts bytes of files that are being copied.
func (c *counters) passed(read, written int64) {
	c.read.Add(read)
	c.written.Add(written)
}

// unitStatus is guarded by unit.mu, except for what says otherwise.
type unitStatus struct {
	outage      error     // of the source or the whole target; nil while all is well
	outageSince time.Time // zero while all is well
	retryAt     time.Time
	scanning    bool
	scanReason  string
	scanStarted time.Time // of the walk that goes on
	scans       int
	lastScan    time.Time
	scanBegan   time.Time // when the last walk that has ended began
	problems    problems
	aside       []Aside
	syncCost    atomic.Int64 // nanoseconds of the last sync of the target; not guarded
	copiesNow   atomic.Int64 // how many files are being copied; not guarded
	copiedLast  atomic.Int64 // when the last of them was, in nanoseconds of Unix time; not guarded
}

// copies says that a file is being copied, until the function that it returns is called.
func (s *unitStatus) copies() (done func()) {
	s.copiesNow.Add(1)
	return func() {
		s.copiedLast.Store(time.Now().UnixNano())
		s.copiesNow.Add(-1)
	}
}

// copyingLasts is how long after a copy a walk still counts as copying: it goes from file to file.
const copyingLasts = time.Second

// copying reports whether files are being copied, or were a moment ago.
func (s *unitStatus) copying() bool {
	return s.copiesNow.Load() > 0 || time.Since(time.Unix(0, s.copiedLast.Load())) < copyingLasts
}

func (s *unitStatus) synced(took time.Duration) { s.syncCost.Store(int64(took)) }

// skipped notes a file that the options leave out.
func (u *unit) skipped(path string, why error) {
	u.r.log.Debug("left out", "path", weir.LogPath(path), "reason", why)
}

// drifted notes a path of the replica that somebody else has changed.
func (u *unit) drifted(path string) {
	if len(u.intended) > 0 {
		u.amended = true
		// Until the first walk has ended it may be what weir itself did before it was interrupted.
		u.r.log.Info("the replica is not as it was recorded before an interruption and is put right",
			"path", weir.LogPath(path), "target", weir.LogPath(u.target.Path()))
		return
	}
	u.r.log.Warn("the replica was changed by somebody else and is put right", "path", weir.LogPath(path),
		"target", weir.LogPath(u.target.Path()))
}

// setAside notes what was moved out of the way, and where it lies now.
func (u *unit) setAside(path, now string) {
	u.amended = u.amended || len(u.intended) > 0
	u.mu.Lock()
	if len(u.status.aside) < maxProblems {
		u.status.aside = append(u.status.aside, Aside{path, u.target.Path(), now})
	}
	u.mu.Unlock()
	u.r.log.Warn("set aside", "path", weir.LogPath(path), "target", weir.LogPath(u.target.Path()), "now", weir.LogPath(now))
}

// shownFile counts a file that got new content, and not one that the target had already.
func (u *unit) shownFile(f *find) {
	if f.copied.temp != "" {
		u.r.counters.files.Add(1)
	}
}
