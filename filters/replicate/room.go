package replicate

import (
	"fmt"
	"syscall"
	"time"

	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// attempt is a copy to a target that had no room for it. A file system that packs data, or does not tell what that takes,
// cannot be asked whether a file fits: that has to be tried, and is not tried over and over, since each time fills it.
type attempt struct {
	count int       // of those that failed in a row; 0 if there was none
	begun time.Time // the last of them
	again time.Time // when there is another one, whatever is free then
	needs int64     // bytes of data that the file had, at the most
	free  int64     // bytes that the target had when it began
}

var roomRetries = replica.Backoff{First: 5 * time.Second, Max: 5 * time.Minute}

// failed says when to try again: no more than a tenth of the time is spent on it.
func (a attempt) failed(now time.Time) attempt {
	a.again = now.Add(max(roomRetries.Delay(a.count), replica.Settle(now.Sub(a.begun))))
	return a
}

// useless reports whether another one would most likely end as the last did.
func (a attempt) useless(now time.Time, needs, free int64) bool {
	fits := a.free < needs && needs <= free
	return now.Before(a.again) && needs >= a.needs && !fits && free-a.free < needs/8
}

// mayFit refuses a file that lately had no room, as long as the target has little more than it had then. temp is on the
// target. Where nothing has failed only large files are worth the question.
func (s *session) mayFit(f *find, temp *tree.File, o tree.Object) error {
	last, full := s.u.lastAttempt(f)
	needs := min(o.Size, o.Blocks*512)
	if !full && needs < largeFile {
		return nil
	}
	free, err := temp.Room()
	if err != nil {
		return err
	}
	now := time.Now()
	if last.useless(now, needs, free) {
		return fmt.Errorf("there was no room at the last attempt: %w", syscall.ENOSPC)
	}
	f.attempt = attempt{count: last.count + 1, begun: now, needs: needs, free: free}
	return nil
}

// lastAttempt returns the last copy of a file for which there was no room, and whether there was none for any file.
func (u *unit) lastAttempt(f *find) (last attempt, full bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.status.problems.dirs[f.at.Parent][f.at.Name]; t != nil {
		last = t.attempt
	}
	return last, u.status.problems.full > 0
}
