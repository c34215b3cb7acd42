package replicate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// looks remembers which volumes do not answer when they are looked at, so that one that hangs does not keep the others
// from being found. Its zero value is ready for use.
type looks struct {
	mu     sync.Mutex
	silent map[weir.VolumeID]bool          // they have been asked, and have not answered yet
	within map[weir.VolumeID]time.Duration // how long it is waited for those that were late before
}

// lookWithin is how long it is waited for a volume that was never late.
const lookWithin = 3 * time.Second

var errSilent = fmt.Errorf("%w: %s", weir.ErrSilent, weir.SilentHint)

// begin says that a volume is asked, and returns how long it is waited for. It reports false if the volume has not
// answered before.
func (l *looks) begin(v weir.VolumeID) (within time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent[v] {
		return 0, false
	}
	if l.silent == nil {
		l.silent, l.within = make(map[weir.VolumeID]bool), make(map[weir.VolumeID]time.Duration)
	}
	l.silent[v] = true
	return max(lookWithin, l.within[v]), true
}

// end says that a volume has answered, and reports whether that was too late.
func (l *looks) end(v weir.VolumeID, took time.Duration) (late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.silent, v)
	if late = took >= max(lookWithin, l.within[v]); late {
		l.within[v] = 2 * took
	}
	return late
}

// look has fn look at a directory of a volume, which may come to the answer when nobody waits for it any more: fn reads
// the volume and nothing else. Once the volume answers, the places are compared with what is mounted again.
func look[T any](ctx context.Context, r *Replicator, v weir.Volume, path string, fn func(*tree.Dir) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	within, ok := r.looks.begin(v.ID())
	if !ok {
		return none, errSilent
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	answers := make(chan answer, 1)
	go func() {
		begun := time.Now()
		value, err := lookNow(ctx, v, path, fn)
		if r.looks.end(v.ID(), time.Since(begun)) {
			r.mountsHinted()
		}
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-timer.C:
		return none, errSilent
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func lookNow[T any](ctx context.Context, v weir.Volume, path string, fn func(*tree.Dir) (T, error)) (none T, err error) {
	lease, err := v.Borrow(ctx, path)
	if err != nil {
		return none, err
	}
	defer lease.Close()
	dir, err := tree.Open(lease.FD())
	if err != nil {
		return none, err
	}
	defer dir.Close()
	return fn(dir)
}
