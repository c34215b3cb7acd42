package replicate

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// barrier makes what a unit has shown durable, in the background, and then says so in the index.
type barrier struct {
	u       *unit
	settled atomic.Uint64 // generation up to which everything is durable

	mu      sync.Mutex
	shown   uint64 // last generation that was shown
	fails   int    // in a row
	running bool
	at      time.Time // when the last barrier had passed
	wg      sync.WaitGroup
}

// due says that a generation has been shown. The session stays open until a barrier has passed.
func (b *barrier) due(s *session, gen uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = gen
	if b.running {
		return
	}
	b.running = true
	s.retain()
	b.wg.Go(func() { b.run(s) })
}

// run passes barriers until nothing is left to make durable, or the session has ended.
func (b *barrier) run(s *session) {
	defer s.letGo()
	for {
		b.mu.Lock()
		gen := b.shown
		if gen == b.settled.Load() {
			b.running = false
			b.mu.Unlock()
			b.u.poke()
			return
		}
		b.mu.Unlock()
		b.u.moves()
		took, err := b.u.target.Advance(s.dst)
		if errors.Is(err, target.ErrNoRoom) {
			if b.waitForRoom(s) {
				continue
			}
			if s.stopped() { // The next start looks at what is not durable.
				b.ends()
				return
			}
		}
		if err != nil {
			b.failed(s, err)
			return
		}
		b.u.cramped(false)
		b.u.status.synced(took)
		if err := b.passed(gen); err != nil {
			b.failed(s, err)
			return
		}
		b.pause(s, took)
	}
}

// ends stops trying, with what was shown not durable.
func (b *barrier) ends() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
}

// waitForRoom waits a moment on a target that has no room for the record of what is durable. Nothing was lost, whatever ends
// the session meanwhile. It reports false if the target leaves, or weir stops.
func (b *barrier) waitForRoom(s *session) bool {
	b.u.cramped(true)
	select {
	case <-time.After(time.Second):
		return true
	case <-s.dst.Done():
	case <-s.stop:
	}
	return false
}

// pause leaves the target in peace between two barriers while more is being shown.
func (b *barrier) pause(s *session, took time.Duration) {
	b.mu.Lock()
	more := b.shown != b.settled.Load()
	b.mu.Unlock()
	if !more {
		return
	}
	select {
	case <-time.After(min(max(2*took, 10*time.Millisecond), time.Second)):
	case <-s.ctx.Done():
	}
}

// passed records the generation that is durable, and that its intents are settled.
func (b *barrier) passed(gen uint64) error {
	w := b.u.ix.NewBatch()
	var done []string
	err := b.u.ix.MetaRange(metaIntent, func(key string, _ []byte) (bool, error) {
		if n, err := strconv.ParseUint(key[len(metaIntent):], 10, 64); err == nil && n <= gen && n > b.u.keepIntents.Load() {
			done = append(done, key)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, key := range done {
		w.Meta(key, nil)
	}
	w.Meta(metaSettled, formatGen(gen))
	if err := w.Commit(false); err != nil {
		return err
	}
	b.mu.Lock()
	b.at = time.Now()
	b.mu.Unlock()
	b.settled.Store(gen)
	b.mu.Lock()
	b.fails = 0
	b.mu.Unlock()
	b.u.r.changed()
	return nil
}

// passedAt returns when the last barrier had passed, the zero time if none has.
func (b *barrier) passedAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// failed has everything written again that was not durable: after a failed sync the kernel may have
// dropped the dirty pages, and a second sync would succeed without them.
func (b *barrier) failed(s *session, err error) {
	b.mu.Lock()
	b.running = false
	b.fails++
	delay, shown := retries.Delay(b.fails), b.shown
	b.mu.Unlock()
	b.u.cramped(false) // Whether there is room the next one finds out.
	s.cancel()         // What it would show next is written again anyway.
	defer b.u.poke()
	b.u.mu.Lock()
	b.u.status.outage = fmt.Errorf("sync the target: %w", err)
	if b.u.status.outageSince.IsZero() {
		b.u.status.outageSince = time.Now()
	}
	b.u.status.retryAt = time.Now().Add(delay)
	b.u.mu.Unlock()
	b.u.r.changed()
	b.u.r.log.Warn("sync of the target failed; what was not durable is written again",
		"target", weir.LogPath(b.u.target.Path()), "error", err)
	// A target that has lost power has lost removals and renames too, which names do not tell.
	b.u.doubt(shown, true)
	b.u.scanWanted(scanRequest{audit: true, reason: "a sync of the target failed"})
}

// idle reports whether everything that was shown is durable.
func (b *barrier) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.running && b.shown == b.settled.Load()
}

func (b *barrier) wait() { b.wg.Wait() }

func formatGen(gen uint64) []byte { return fmt.Append(nil, gen) }
