package replicate

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
)

const metaBrake = "brake"

// brakeError is errBrake for so many names: a directory and what is in it.
type brakeError int

func (n brakeError) Error() string {
	if n == 1 {
		return errBrake.Error()
	}
	return fmt.Sprintf("%v; %d names wait", errBrake, int(n))
}

// Is makes it errBrake.
func (n brakeError) Is(err error) bool { return err == errBrake }

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
		u.r.log.Warn("what the brake has counted is forgotten", "place", u.r.label(u.place), "error", err)
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
	u.regained++
	u.brake.Undo(n)
	u.r.counters.removed.Add(int64(-n))
}

// foundAgain notes that what has left a name is somewhere else: if the brake had kept it there, it need not any more.
func (u *unit) foundAgain(at replica.Name) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.status.problems.dirs[at.Parent][at.Name]; t != nil && t.held == errBrake {
		u.regained++
		u.resolvedLocked(func(p *problems) { p.resolve(at) })
	}
}

// grew tells the brake that a name is new on the source, and not only on the replica.
func (u *unit) grew() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	u.brake.Grew(time.Now(), 1)
}

// released lets go of a tripped brake after a walk on which nothing had to wait for it: the source has what
// was missing again. Where something had, and something else that was missing was found under another name, too much
// was counted as missing until then: what waits is asked for once more, by another walk. The arguments are how often
// the brake had refused, and things had been found, when the walk began.
func (u *unit) released(refused, regained int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	waits := u.refused != refused
	if !u.brake.Tripped() || waits && u.regained == regained {
		return
	}
	u.brake.Settled()
	u.brakeMoved = true
	if waits {
		u.scan.wanted, u.scan.reason = true, "something that was missing was found elsewhere"
	}
}
