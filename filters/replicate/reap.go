package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
)

// reaps is how long after what was parked it is asked whether it still lives, and after that again, while all of it does:
// each time both volumes are opened.
var reaps = replica.Backoff{First: 10 * time.Second, Max: 5 * time.Minute}

// leftShare is the part of the time, one in so many, that walks may take which look for what has left the place and lives
// on elsewhere on its volume: no event tells that it does not come back.
const leftShare = 100

// reapDue reaps when something was parked just now, or a while ago.
func (u *unit) reapDue(s *session) error {
	if !u.anyParked || time.Now().Before(u.reapAt) {
		return nil
	}
	return u.reap(s, 0)
}

// reap deletes parked nodes that are dead on the source, and all that were parked before generation
// before: a walk of the whole place has ended since and has not found them.
func (u *unit) reap(s *session, before uint64) error {
	u.reaped++
	u.reapAt = time.Now().Add(reaps.Delay(u.reaped))
	u.anyParked = true
	wait := false
	for last, more := "", true; more; {
		var keys []weir.Handle
		err := u.ix.Children(replica.Parking, last, func(name string, key weir.Handle) (bool, error) {
			keys, last = append(keys, key), name
			return len(keys) < walkChunk, nil
		})
		if err != nil {
			return err
		}
		more = len(keys) == walkChunk
		some, err := u.reapAll(s, keys, before)
		if err != nil {
			return err
		}
		wait = wait || some
	}
	if u.anyParked = wait; wait {
		u.mu.Lock()
		u.later.addWalk(time.Now().Add(max(reaps.Max, leftShare*u.status.lastScan.Sub(u.status.scanBegan))))
		u.mu.Unlock()
	}
	return nil
}

// reapAll reaps some nodes, and reports whether any has to be asked again.
func (u *unit) reapAll(s *session, keys []weir.Handle, before uint64) (wait bool, err error) {
	for _, key := range keys {
		node, ok, err := u.ix.Get(key)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		sure := node.Gen <= before
		alive, err := s.alive(key)
		if err != nil {
			return false, err
		}
		at := replica.ParkingName(key)
		if alive && !sure {
			wait = true
			u.stillOwes(at)
			continue
		}
		if before == 0 && u.stillHeld(at) {
			continue // A walk of all that is there weighs it anew.
		}
		switch err := u.reapTree(s, key, sure); {
		case err == nil:
			u.resolved(at)
		case errors.Is(err, errLeft) || errors.Is(err, errBrake):
			u.problem(s.path(u.ix, at), &find{at: at, absent: true}, err)
		case !errors.Is(err, target.ErrCovered):
			return false, err
		}
	}
	return wait, nil
}

// reapTree deletes a parked node and what the replica has below it. What lives on elsewhere is parked by
// itself, unless a walk has shown that it left the place.
func (u *unit) reapTree(s *session, top weir.Handle, sure bool) error {
	r := &reaper{u: u, s: s, sure: sure}
	defer r.close()
	if keeps, err := r.batch().keeps(top); err != nil {
		return err
	} else if keeps {
		return errLeft
	}
	if err := r.count(top); err != nil {
		return err
	}
	stack := []weir.Handle{top}
	for len(stack) > 0 {
		if err := s.err(); err != nil {
			return err
		}
		subs, err := r.dir(stack[len(stack)-1])
		if err != nil {
			return err
		}
		if len(subs) > 0 {
			stack = append(stack, subs...)
			continue
		}
		if err := r.remove(stack[len(stack)-1]); err != nil {
			return err
		}
		stack = stack[:len(stack)-1]
	}
	return r.commit()
}

// count asks the brake about a node that was parked without that.
func (r *reaper) count(top weir.Handle) error {
	b := r.batch()
	node, known, err := b.ix.Get(top)
	if err != nil || !known || node.Flags&replica.Uncounted == 0 {
		return err
	}
	n, _, err := b.weigh(top)
	if err != nil {
		return err
	}
	if !b.u.mayRemove(n) {
		return brakeError{names: n, aside: true}
	}
	node.Flags &^= replica.Uncounted
	b.ix.Put(node)
	return b.ix.Err()
}

type reaper struct {
	u     *unit
	s     *session
	sure  bool
	b     *batch
	n     int
	names []intent // taken away since the last commit
}

func (r *reaper) batch() *batch {
	if r.b == nil {
		r.b = r.u.newBatch(r.s, walkMode{})
		r.b.ix = r.u.ix.NewBatch()
		r.u.gen++
	}
	return r.b
}

func (r *reaper) commit() error {
	if r.b == nil {
		return nil
	}
	b := r.b
	// What is taken away may come back if the target loses power, and is no stranger's then.
	if len(r.names) > 0 {
		b.ix.Meta(fmt.Sprintf("%s%020d", metaIntent, r.u.gen), encodeIntents(r.names))
	}
	r.b, r.n, r.names = nil, 0, nil
	b.ix.Meta(metaGen, formatGen(r.u.gen))
	if err := errors.Join(r.u.saveBrake(b.ix), b.ix.Commit(false)); err != nil {
		return err
	}
	r.u.barrier.due(r.s, r.u.gen)
	return nil
}

func (r *reaper) close() {
	if r.b != nil {
		_ = r.commit() // What was removed is recorded also when the rest failed; the next walk tells else.
	}
}

// dir empties a directory of what is no directory and returns its subdirectories.
func (r *reaper) dir(key weir.Handle) (subs []weir.Handle, err error) {
	b := r.batch()
	if gone, err := r.gone(key); err != nil || gone {
		return nil, err
	}
	var names []replica.Name
	var keys []weir.Handle
	err = b.ix.Children(key, "", func(name string, child weir.Handle) (bool, error) {
		names, keys = append(names, replica.Name{Parent: key, Name: name}), append(keys, child)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for i, child := range keys {
		node, ok, err := r.batch().ix.Get(child) // Not of b: taking names away may have recorded that.
		if err != nil || !ok {
			return nil, err
		}
		sub, err := r.name(names[i], node)
		if err != nil {
			return nil, err
		}
		if sub {
			subs = append(subs, child)
		}
	}
	return subs, nil
}

// gone makes the index forget a directory that is not where it says: a batch that was interrupted had given
// it its new place, or had removed it. The walk that follows an interruption finds what became of it. What stands there
// instead is foreign, as anything else that the index does not know.
func (r *reaper) gone(key weir.Handle) (bool, error) {
	b := r.batch()
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok || !node.Source.IsDir() {
		return false, err
	}
	at, ok, err := anyName(b.ix, node)
	if err != nil || !ok {
		return false, err
	}
	dir, err := r.s.targetDir(b.ix, at.Parent)
	if err != nil {
		return false, err
	}
	if stands, err := b.u.stands(dir, at, node); err != nil || stands {
		return false, err
	}
	r.s.dirs.drop(key)
	return true, b.forgetName(key, at)
}

// name removes one name, or parks what lives on. It reports a directory that has to be emptied first.
func (r *reaper) name(at replica.Name, node replica.Node) (sub bool, err error) {
	b := r.batch()
	r.names = append(r.names, intent{at, node.Key})
	b.s.dirs.trim()
	if node.NameCount() == 1 && !r.sure {
		alive, err := r.s.alive(node.Key)
		if err != nil {
			return false, err
		}
		if alive { // The brake has counted it with what it was in.
			err := b.move(replica.Step{Verb: replica.Move, Key: node.Key, From: at, To: replica.ParkingName(node.Key)})
			return false, unlessDrifted(err)
		}
	}
	if node.Source.IsDir() {
		return true, nil
	}
	dir, err := r.s.targetDir(b.ix, at.Parent)
	if err != nil {
		return false, err
	}
	if err := b.expect(dir, at, node); err != nil {
		return false, unlessDrifted(err)
	}
	if err := dir.Unlink(at.Name); err != nil {
		return false, err
	}
	if err := errors.Join(b.forgetName(node.Key, at), b.lessLinked(node.Key)); err != nil {
		return false, err
	}
	if r.n++; r.n >= walkChunk {
		return false, r.commit()
	}
	return false, nil
}

// unlessDrifted passes an error on, unless the index has forgotten a name since it was another object's: that was the aim.
func unlessDrifted(err error) error {
	if errors.Is(err, errDrift) {
		return nil
	}
	return err
}

// remove takes away a node that has nothing below it any more.
func (r *reaper) remove(key weir.Handle) error {
	b := r.batch()
	node, ok, err := b.ix.Get(key)
	if err != nil || !ok {
		return err
	}
	at, ok, err := anyName(b.ix, node)
	if err != nil || !ok {
		return err
	}
	r.names = append(r.names, intent{at, key})
	if !node.Source.IsDir() {
		_, err := r.name(at, node)
		return err
	}
	if err := r.emptyOfStrays(key); err != nil {
		return err
	}
	r.s.dirs.trim()
	r.s.dirs.drop(key)
	dir, err := r.s.targetDir(b.ix, at.Parent)
	if err != nil {
		return err
	}
	if err := dir.Rmdir(at.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return b.forgetName(key, at)
}

// emptyOfStrays sets aside what somebody else has put into a directory that is about to go.
func (r *reaper) emptyOfStrays(key weir.Handle) error {
	dir, err := r.s.targetDir(r.b.ix, key)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return dir.List(func(name string, _ uint32) error {
		return r.b.setAside(dir, replica.Name{Parent: key, Name: name})
	})
}
