package replicate

import (
	"encoding/json"
	"time"

	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/policy"
)

const metaBrake = "brake"

// loadBrake restores the brake: a restart forgets neither what was lost nor that consent is awaited.
func (u *unit) loadBrake() error {
	text, err := u.ix.Meta(metaBrake)
	if err != nil {
		return err
	}
	limit := u.r.options.Brake
	if text == nil {
		u.brake = policy.NewBrake(limit)
		return nil
	}
	if u.brake, err = policy.RestoreBrake(limit, text); err != nil {
		u.r.log.Warn("what the brake has counted is forgotten", "place", u.place.label(), "error", err)
		u.brake = policy.NewBrake(limit)
	}
	return nil
}

// saveBrake records the brake with a batch, if it has moved.
func (u *unit) saveBrake(b *index.Batch) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.brakeMoved {
		return nil
	}
	text, err := json.Marshal(u.brake)
	if err != nil {
		return err
	}
	u.brakeMoved = false
	b.Meta(metaBrake, text)
	return nil
}

// mayRemove asks the brake whether n names may go.
func (u *unit) mayRemove(n int) bool {
	total, err := u.ix.Count()
	if err != nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	ok := u.brake.Ask(time.Now(), n, total)
	if ok {
		u.r.counters.removed.Add(int64(n))
	} else {
		u.refused++
	}
	return ok
}

// reclaimed tells the brake that what had vanished was found again.
func (u *unit) reclaimed(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	u.brake.Undo(n)
	u.r.counters.removed.Add(int64(-n))
}

// grew tells the brake that a name is new on the source, and not only on the replica.
func (u *unit) grew() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	u.brake.Grew(time.Now(), 1)
}

// released lets go of a tripped brake after a walk on which nothing had to wait for it: the source has what
// was missing again. before is how often the brake had refused when the walk began.
func (u *unit) released(before int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused == before && u.brake.Tripped() {
		u.brake.Settled()
		u.brakeMoved = true
	}
}
