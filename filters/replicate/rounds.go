package replicate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

var retries = replica.Backoff{First: 250 * time.Millisecond, Max: 30 * time.Second}

// run follows the place until ctx ends.
func (u *unit) run(ctx context.Context) {
	var lane sync.WaitGroup
	lane.Go(func() { u.bulk.run(ctx) })
	defer lane.Wait()
	defer u.barrier.wait()
	for {
		if err := u.sift(); err != nil {
			u.outage(err)
		}
		wait := u.untilNext(time.Now())
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-u.wake:
				timer.Stop()
			case <-timer.C:
			}
			continue // What has become due has to count as busy before it is taken.
		}
		if ctx.Err() != nil {
			return
		}
		u.round(ctx)
	}
}

const idle = time.Hour

// untilNext returns how long nothing has to be done; 0 if there is work.
func (u *unit) untilNext(now time.Time) time.Duration {
	unwanted := u.early() || u.r.leftOutBy(u.place) != ""
	_, volume, _ := u.place.at()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dueLocked(now)
	if wait := u.status.retryAt.Sub(now); wait > 0 {
		return wait
	}
	if unwanted {
		u.busy = false
		return idle
	}
	u.overflowedLocked()
	// A target that was away is asked for although nothing is to be done: it may be there again.
	ask := u.ask || u.status.outage != nil && volume != nil
	if u.scan.wanted || u.dirty.Len() > 0 || len(u.staged) > 0 || ask {
		if !u.busy {
			u.moves()
		}
		u.busy, u.ask = true, false
		return 0
	}
	u.busy = false
	wait := idle
	if u.anyParked {
		wait = u.reapAt.Sub(now)
	}
	if next, ok := u.later.next(); ok {
		wait = min(wait, next.Sub(now))
	}
	if wait <= 0 && u.anyParked {
		return 0
	}
	return max(wait, time.Millisecond)
}

// dueLocked makes dirty what was put off until now. u.mu is held.
func (u *unit) dueLocked(now time.Time) {
	u.later.due(now, u.addLocked)
	if u.later.walkDue(now) {
		u.scan.wanted = true
		u.scan.reason = "what is not remembered name by name is looked for"
	}
}

// overflowedLocked asks for a walk if more was dirty than is remembered one by one. u.mu is held.
func (u *unit) overflowedLocked() {
	if u.dirty.All() {
		u.scan.wanted = true
		u.scan.reason = "more changes than are remembered one by one"
	}
}

// round opens a session and works until nothing is dirty or something ends it.
func (u *unit) round(ctx context.Context) {
	s, err := u.open(ctx)
	if err != nil {
		u.outage(err)
		return
	}
	u.recovered()
	err = u.work(s)
	s.dirs.forget()
	s.release()
	switch {
	case err == nil || errors.Is(err, errGone):
	case ctx.Err() != nil:
	default:
		u.outage(err)
	}
}

// work carries out everything that is due.
func (u *unit) work(s *session) error {
	if err := u.cleanTemps(s); err != nil {
		return err
	}
	if err := u.freshTarget(); err != nil {
		return err
	}
	for s.err() == nil {
		u.mu.Lock()
		scan := u.scan
		u.mu.Unlock()
		if _, err := u.prepareAudit(s, scan); err != nil {
			return err
		}
		more, err := u.present(s)
		if err != nil {
			return err
		}
		u.mu.Lock()
		scan = u.scan
		u.mu.Unlock()
		switch {
		case scan.wanted:
			if err := u.walkAll(s, scan); err != nil {
				return err
			}
		case !more:
			return u.saveCompared()
		}
	}
	return errGone
}

// freshTarget asks for a scan if the target has come back or is older than the index.
func (u *unit) freshTarget() error {
	epoch, _ := u.target.Epochs()
	if epoch == u.seenEpoch {
		return nil
	}
	u.seenEpoch = epoch
	u.doubt(u.gen, false)
	u.scanWanted(scanRequest{audit: true, full: u.owesContent(), reason: "the target has come back"})
	return nil
}

// passing is how long a failure is not worth a word: a unit may be earlier than the news of its volume, or than the
// directory that its place is to have on the target.
const passing = time.Second

// strayFailures is how many failures in a row to reach a source may be because its mount is elsewhere now.
const strayFailures = 6

// outage records that nothing can be done now, and when to try again.
func (u *unit) outage(err error) {
	u.failures++
	delay := retries.Delay(u.failures)
	if errors.Is(err, errNoPoint) {
		delay = min(delay, passing) // The directory is about to be made, and each mount has had this one tried in vain.
	}
	u.mu.Lock()
	u.status.outage = err
	if u.status.outageSince.IsZero() {
		u.status.outageSince = time.Now()
	}
	u.status.retryAt = time.Now().Add(delay)
	lasts := time.Since(u.status.outageSince) >= passing
	u.mu.Unlock()
	var e *weir.Error
	if errors.As(err, &e) && e.Op == opSource && u.failures < strayFailures {
		u.r.mountsHinted() // A directory above the mount may have been renamed.
	}
	if lasts && !u.told && !errors.Is(err, errHeld) && !errors.Is(err, errAbsent) { // Of those it was told for all targets.
		u.told = true
		reason := err.Error()
		if targetIsAway(err) {
			reason = absence(err)
		}
		u.r.log.Warn("replica waits", "place", u.r.label(u.place), "target", weir.LogPath(u.target.Path()), "reason", reason)
	}
	u.r.changed()
}

func (u *unit) recovered() {
	u.mu.Lock()
	was := u.status.outage
	u.status.outage, u.status.outageSince, u.status.retryAt = nil, time.Time{}, time.Time{}
	u.mu.Unlock()
	if u.told {
		u.r.log.Info("replica goes on", "place", u.r.label(u.place), "target", weir.LogPath(u.target.Path()))
	}
	if was != nil {
		u.r.changed()
	}
	u.failures, u.told = 0, false
}
