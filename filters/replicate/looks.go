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
	silent map[weir.VolumeID]int           // how many looks were not answered in time, and have not been since
	within map[weir.VolumeID]time.Duration // how long it is waited for those that were late before
}

// lookWithin is how long it is waited for a volume that was never late.
const lookWithin = 3 * time.Second

var errSilent = fmt.Errorf("%w: %s", weir.ErrSilent, weir.SilentHint)

// patience returns how long it is waited for a volume. It reports false if that does not answer somebody else.
func (l *looks) patience(v weir.VolumeID) (within time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(lookWithin, l.within[v]), l.silent[v] <= 0
}

// late says that a volume has not answered in time.
func (l *looks) late(v weir.VolumeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countLocked(v, 1)
}

// answered says that a volume has answered a look that was late, or is about to be called so.
func (l *looks) answered(v weir.VolumeID, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countLocked(v, -1)
	l.within[v] = max(l.within[v], 2*took)
}

func (l *looks) countLocked(v weir.VolumeID, n int) {
	if l.silent == nil {
		l.silent, l.within = make(map[weir.VolumeID]int), make(map[weir.VolumeID]time.Duration)
	}
	if l.silent[v] += n; l.silent[v] == 0 {
		delete(l.silent, v)
	}
}

// look has fn look at a directory of a volume, which may come to the answer when nobody waits for it any more: fn reads
// the volume and nothing else. Once the volume answers, the places are compared with what is mounted again.
func look[T any](ctx context.Context, r *Replicator, v weir.Volume, path string, fn func(*tree.Dir) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	within, ok := r.looks.patience(v.ID())
	if !ok {
		return none, errSilent
	}
	tooLate, begun := make(chan struct{}), time.Now()
	late := time.AfterFunc(within, func() {
		r.looks.late(v.ID())
		close(tooLate)
	})
	answers := make(chan answer, 1)
	go func() {
		value, err := lookNow(ctx, v, path, fn)
		if !late.Stop() {
			r.looks.answered(v.ID(), time.Since(begun))
			r.mountsHinted()
		}
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-tooLate:
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
