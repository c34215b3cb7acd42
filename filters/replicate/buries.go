package replicate

import (
	"errors"
	"fmt"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
)

var errBuries = errors.New("what the replica holds there stays as it is until that is unmounted, or weir is started with --replaced merge or mirror")

// buries says why a volume is not followed that has come over a directory: following it would set aside what the replica
// holds there, and that is another volume's too, or more than the brake lets go. It may have come by mistake, or for a moment.
func (r *Replicator) buries(parent *place, key weir.Handle, rel string) error {
	if known, _ := r.knownPlace(parent, key, rel); known != nil || r.options.Replaced != policy.ReplacedHold {
		return nil
	}
	for _, u := range r.unitsOf(parent) {
		n, keeps, err := u.weigh(key)
		switch {
		case err != nil:
			return err
		case keeps:
			return fmt.Errorf("it covers the replica of another volume: %w", errBuries)
		case !u.allows(n - 1):
			return fmt.Errorf("it covers %d names, more than --max-delete lets go: %w", n-1, errBuries)
		}
	}
	return nil
}

// weigh is batch.weigh outside of a batch.
func (u *unit) weigh(top weir.Handle) (n int, keeps bool, err error) {
	b := u.newBatch(nil, walkMode{})
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	return b.weigh(top)
}

// allows reports whether the brake would let n names go.
func (u *unit) allows(n int) bool {
	total, err := u.ix.Count()
	u.mu.Lock()
	defer u.mu.Unlock()
	return err == nil && u.brake.Allows(n, total)
}
