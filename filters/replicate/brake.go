package replicate

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
)

const metaBrake = "brake"

// brakeError is errBrake for so many names: a directory and what is in it.
type brakeError struct {
	names int
	aside bool // they are in the parking, since something else has their name now
}

func (e brakeError) Error() string {
	text := errBrake.Error()
	if e.aside {
		text += "; it is kept here, since something else has its name now"
	}
	if e.names > 1 {
		text += fmt.Sprintf("; %d names wait", e.names)
	}
	return text
}

// Is makes it errBrake.
func (e brakeError) Is(err error) bool { return err == errBrake }

// namesHeld returns how many names wait for the brake, by what holds one of them.
func namesHeld(err error) int {
	var braked brakeError
	switch {
	case errors.As(err, &braked):
		return braked.names
	case errors.Is(err, errBrake):
		return 1
	}
	return 0
}

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
	}
	return ok
}

// reclaimed tells the brake that what had vanished was found again. gen is that of the batch that has parked it.
func (u *unit) reclaimed(n int, gen uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	u.regained++
	u.brake.Undo(n)
	if gen > u.began { // Otherwise this process has not counted it as removed.
		u.r.counters.removed.Add(int64(-n))
	}
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

// stillHeld reports whether the brake has said no of a name, and would again.
func (u *unit) stillHeld(at replica.Name) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status.problems.owes(at)
	t := u.status.problems.dirs[at.Parent][at.Name]
	return t != nil && t.held == errBrake && u.brake.Tripped()
}

// mayBeHeld reports whether the brake may hold what has a name, as it is listed. Before the first walk has ended nothing is.
func (u *unit) mayBeHeld(at replica.Name) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := &u.status.problems
	t := p.dirs[at.Parent][at.Name]
	return u.brake.Tripped() && (u.status.scans == 0 || p.more() > 0 || t != nil && t.held == errBrake)
}

// grew tells the brake that a name is new on the source, and not only on the replica.
func (u *unit) grew() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brakeMoved = true
	u.brake.Grew(time.Now(), 1)
	if u.madeUpLocked() {
		u.later.addWalk(time.Now())
	}
}

// madeUpLocked reports whether the brake need not hold what waits any more. u.mu is held.
func (u *unit) madeUpLocked() bool {
	total, err := u.ix.Count()
	return err == nil && u.brake.MadeUp(u.status.problems.waits(), total)
}

// releasedLocked lets go of a tripped brake after a walk on which nothing had to wait for it: the source has what was
// missing again. What waits is asked for once more, by another walk, if what has come makes up for it. Where something
// that was missing was found under another name, more may have been counted than waits now: then it is counted anew.
// regained is how often that had happened when the walk began. u.mu is held.
func (u *unit) releasedLocked(regained int) {
	waits := u.status.problems.waits()
	switch {
	case !u.brake.Tripped():
		return
	case waits == 0:
		u.brake.Settled()
		u.r.mountsChanged() // What covers names may be followed now.
	case u.madeUpLocked():
		u.brake.Release(time.Now(), waits)
		u.scan.wanted, u.scan.reason = true, "what has come makes up for what the brake has held"
		u.r.mountsChanged()
	case u.regained != regained:
		u.scan.wanted, u.scan.reason = true, "something that was missing was found elsewhere"
	}
	u.brakeMoved = true
}
