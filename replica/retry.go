package replica

import "time"

// Backoff is the schedule of retries after a failure: at once doubling from First to Max, for ever.
type Backoff struct{ First, Max time.Duration }

// Delay returns how long to wait after the given number of failures in a row, counted from 1.
func (b Backoff) Delay(failures int) time.Duration {
	delay := b.First
	for ; failures > 1 && delay < b.Max; failures-- {
		delay *= 2
	}
	return min(delay, b.Max)
}

// Settle returns how long to wait before a file that keeps changing is copied again, if its last copy took
// cost: a 10 GB log with a line a second must not cost 10 GB a second.
func Settle(cost time.Duration) time.Duration {
	if cost < 5*time.Millisecond {
		return 0
	}
	return 10 * cost
}
