package replicate

import (
	"time"

	"github.com/weirfs/weir"
)

// A directory that is renamed while a walk goes on may come from where the walk is still to be to where it has been. If the
// replica has it, it is moved there, and what it held before the walk began would be looked at by nobody: so it is walked too.

// lateRenames is how long after a walk a rename may be told that was made while the walk went on.
const lateRenames = time.Minute

// walks is what is known of walks that may pass by a directory. It is guarded by unit.mu.
type walks struct {
	going int // now
	ended time.Time
}

// walkBegins notes that directories are walked, with all below them, and returns what notes that this has ended. Of what the
// replica has nothing of nothing can be passed by: it comes anew, wherever it is.
func (u *unit) walkBegins(dirs []weir.Handle) (ends func(), err error) {
	some := false
	for _, key := range dirs {
		err := u.ix.Children(key, "", func(string, weir.Handle) (bool, error) {
			some = true
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	if !some {
		return func() {}, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.walks.going++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.walks.going--
		u.walks.ended = time.Now()
	}, nil
}

// passesBy reports whether a walk may have passed by a directory that has moved.
func (u *unit) passesBy() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.walks.going > 0 || time.Since(u.walks.ended) < lateRenames
}
