package manager

import (
	"log/slog"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/topology"
)

// recordLocked queues a change for the ledger. What a shutdown does to slots and links is left out: the
// ledger keeps what was attached when weir ended, and opens a gap for it at the next start.
func (m *Manager) recordLocked(effect topology.Effect) {
	if _, gone := effect.(topology.VolumeGone); m.state.Stopping() && !gone {
		return
	}
	switch e := effect.(type) {
	case topology.VolumePublished:
		info := m.volumes[e.Volume].info
		m.recorder.put(func(l *ledger.Ledger) error { return l.VolumeArrived(info, e.Listed) })
	case topology.VolumeGone:
		m.recorder.put(func(l *ledger.Ledger) error { return l.VolumeLeft(e.Volume) })
	case topology.Recorded:
		f := m.filters[e.Pair.Filter]
		if !asks(f) {
			return
		}
		slot := ledger.Slot{
			Volume: e.Pair.Volume, Filter: f.Name, Instance: f.Definitions()[e.Pair.Instance].Name, State: e.State.String(), Why: e.Why,
		}
		if e.Ended {
			slot.State = ""
		}
		m.recorder.put(func(l *ledger.Ledger) error { return l.SlotChanged(slot) })
	case topology.LinkRecorded:
		m.recorder.put(func(l *ledger.Ledger) error { return l.SightChanged(e.Joint.Volume, sightOf(e.State), e.Why) })
	}
}

// asks tells whether a filter asks for operations by itself. One that does not, but serves who comes, misses nothing when
// it is not there.
func asks(f *weir.Filter) bool { return f.Wants|f.Before|f.After != 0 }

// recordTakenLocked opens a gap when the last instance of a filter is taken from a volume that stays, by somebody who may
// change his mind.
func (m *Manager) recordTakenLocked(work topology.Work, start *topology.Start) {
	cause := m.causeLocked(work, start)
	if work.Kind != topology.TearDown || cause == "" || !asks(m.filters[work.Filter]) {
		return
	}
	for pair := range m.instances {
		if pair.Filter == work.Filter && pair.Volume == work.Volume && pair.Instance != work.Instance {
			return
		}
	}
	info, name, from := m.volumes[work.Volume].info, m.filters[work.Filter].Name, now()
	m.recorder.put(func(l *ledger.Ledger) error {
		_, err := l.OpenGap(info, name, from, cause)
		return err
	})
}

// causeLocked is that of the gap that a teardown opens, or empty if it opens none.
func (m *Manager) causeLocked(work topology.Work, start *topology.Start) string {
	switch reason := start.Teardown; {
	case reason == weir.TeardownManual:
		return "detached by hand"
	case reason == weir.TeardownExcluded:
		return "the volume was excluded"
	case reason == weir.TeardownInternalError:
		return "taken away by weir: " + start.Why
	case reason.Unloads():
		return m.lives[work.Filter].unloading.cause(reason)
	}
	return ""
}

// recordBackLocked closes the gaps of a filter that does not look for what it has missed: there is nothing to wait for.
func (m *Manager) recordBackLocked(pair topology.Pair) {
	f, info, at := m.filters[pair.Filter], m.volumes[pair.Volume].info, now()
	if !f.Scans {
		m.recorder.put(func(l *ledger.Ledger) error {
			return l.CloseGaps(info, f.Name, at, unsought)
		})
	}
}

// sightOf says in the ledger's words what a link means for what can be seen.
func sightOf(state topology.LinkState) string {
	switch state {
	case topology.LinkAttached:
		return "observed"
	case topology.LinkUnsupported:
		return "scan only"
	default:
		return state.String()
	}
}

// recorder writes to the ledger in the order of the topology's steps, on its own goroutine, so that a
// slow disk delays no volume; and again what could not be written, whoever has recorded it.
type recorder struct {
	ledger *ledger.Ledger
	logger *slog.Logger
	wake   chan struct{} // holds one token when records wait, or the ledger has begun to lack something
	done   chan struct{}

	mu      sync.Mutex
	waiting []func(*ledger.Ledger) error
	ended   bool

	behind bool // the log says that the ledger lacks something; of the goroutine
}

// retryLedger is how long the ledger waits before it writes again what could not be written.
const retryLedger = time.Second

func newRecorder(l *ledger.Ledger, logger *slog.Logger) *recorder {
	return &recorder{ledger: l, logger: logger, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (r *recorder) put(write func(*ledger.Ledger) error) {
	if r.ledger == nil {
		return
	}
	r.mu.Lock()
	r.waiting = append(r.waiting, write)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *recorder) start() {
	if r.ledger != nil {
		r.ledger.Notify(r.wake)
	}
	go r.run()
}

func (r *recorder) run() {
	defer close(r.done)
	var again <-chan time.Time
	for {
		select {
		case <-r.wake:
		case <-again:
			again = nil
			_ = r.ledger.Retry() // Health has the error.
		}
		r.mu.Lock()
		writes, ended := r.waiting, r.ended
		r.waiting = nil
		r.mu.Unlock()
		r.write(writes)
		if ended {
			return
		}
		if r.tellHealth(); r.behind && again == nil {
			again = time.After(retryLedger)
		}
	}
}

// tellHealth tells once when the ledger begins to lack something, and when it lacks nothing any more.
func (r *recorder) tellHealth() {
	file, err := weir.LogPath(r.ledger.Path()), r.ledger.Health()
	switch {
	case err != nil && !r.behind:
		r.logger.Error("the ledger cannot be written; that is tried again", "file", file, "error", err)
	case err == nil && r.behind:
		r.logger.Info("the ledger is written again", "file", file)
	}
	r.behind = err != nil
}

func (r *recorder) write(writes []func(*ledger.Ledger) error) {
	if len(writes) == 0 {
		return
	}
	for _, write := range writes {
		if err := write(r.ledger); err != nil {
			r.logger.Error("ledger not written", "error", err)
		}
	}
	if err := r.ledger.Sync(); err != nil {
		r.logger.Error("ledger not synced", "error", err)
	}
}

// hangs tells whether the goroutine was to end, and has not.
func (r *recorder) hangs() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return false
	default:
		return r.ended
	}
}

// stop writes what waits and ends the goroutine.
func (r *recorder) stop() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	<-r.done
}
