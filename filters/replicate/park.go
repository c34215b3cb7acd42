package replicate

import (
	"errors"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// park takes a node out of the visible tree, if it may leave that. Of what makes room for something else, or gets another
// name in this very batch, nothing is lost yet: the brake is asked before it is deleted. So what is held never keeps out
// what is there.
func (b *batch) park(step replica.Step, makesRoom bool) error {
	if b.comes(step.Key) {
		return b.parkUncounted(step)
	}
	n, err := b.mayPark(step.Key)
	switch {
	case err != nil:
		return err
	case makesRoom:
		b.tellRoom(step, n)
		return b.parkUncounted(step)
	case !b.u.mayRemove(n):
		b.u.resolvedIn(step.Key) // What was held in it waits with it.
		return brakeError{names: n}
	}
	return b.move(step)
}

// tellRoom tells where something goes that the brake is going to hold.
func (b *batch) tellRoom(step replica.Step, n int) {
	if b.u.allows(n) {
		return
	}
	if alive, err := b.s.alive(step.Key); err == nil && !alive {
		b.u.r.log.Warn("what is deleted makes room, and is kept: it is more than --max-delete allows",
			"path", weir.LogPath(b.s.path(b.ix, step.From)), "now", weir.LogPath(b.s.path(b.ix, step.To)),
			"target", weir.LogPath(b.u.target.Path()))
	}
}

// parkUncounted parks a node of which the brake has not been asked.
func (b *batch) parkUncounted(step replica.Step) error {
	if err := b.move(step); err != nil {
		return err
	}
	node, known, err := b.ix.Get(step.Key)
	if err != nil || !known {
		return err
	}
	node.Flags |= replica.Uncounted
	b.ix.Put(node)
	return b.ix.Err()
}

// mayPark weighs a node that is to leave the visible tree. It may not if it holds the replica of another volume, unless
// it lives on: then it is on its way to another name.
func (b *batch) mayPark(key weir.Handle) (n int, err error) {
	n, keeps, err := b.weigh(key)
	if err == nil && keeps {
		alive, err := b.s.alive(key)
		if err != nil || !alive {
			return n, errors.Join(err, errPinned)
		}
	}
	return n, err
}

// comes reports whether a node gets another name in this very batch, as in a swap, so that nothing is lost.
func (b *batch) comes(key weir.Handle) bool {
	if b.found == nil {
		b.found = make(map[weir.Handle]bool)
		for _, f := range b.finds {
			if !f.absent && !f.skip && f.problem == nil {
				b.found[f.key] = true
			}
		}
	}
	return b.found[key]
}

// reclaim takes back what park has counted as lost.
func (b *batch) reclaim(node replica.Node) error {
	if node.Flags&replica.Uncounted != 0 {
		return nil
	}
	n, _, err := b.weigh(node.Key)
	if err == nil {
		b.u.reclaimed(n, node.Gen)
	}
	return err
}
