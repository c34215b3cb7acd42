package replicate

import (
	"context"
	"time"
)

// patience is how long nothing has moved, although there is work, until that is said: a thread that writes to a frozen
// file system, or to a disk that is gone, is not told so.
const patience = 5 * time.Second

// moves notes that the unit's work gets on.
func (u *unit) moves() { u.moved.Store(time.Now().UnixNano()) }

// throttle waits until n bytes may be read.
func (u *unit) throttle(ctx context.Context, n int) error {
	u.moves()
	defer u.moves()
	return u.r.throttle(ctx, n)
}

// comparing is throttle for what is read of the source to compare it.
func (u *unit) comparing(ctx context.Context, n int) error {
	u.r.counters.read.Add(int64(n))
	return u.throttle(ctx, n)
}

// silentLocked returns for how long nothing has moved, or 0 if there is nothing to do, or if that is not long. u.mu is
// held.
func (u *unit) silentLocked() time.Duration {
	if !u.busy && u.bulk.now == nil && u.barrier.idle() {
		return 0
	}
	// With a limit of few bytes a second each of them is waited for.
	took := time.Since(time.Unix(0, u.moved.Load()))
	if bandwidth := u.r.options.Bandwidth; took < patience || bandwidth > 0 && bandwidth < 1<<20 {
		return 0
	}
	return took
}
