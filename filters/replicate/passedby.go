package replicate

import (
	"hash/maphash"
	"time"

	"github.com/weirfs/weir"
)

// A directory that is renamed while a walk of the whole place goes on may come from where the walk is still to be to where it
// has been. If the replica has it, it is moved there, and what happened in it before the walk would be looked at by nobody. So
// a walk knows where it has been, and goes to what has moved, and to what it is told of soon after its end.

// lateRenames is how long after a walk a rename may be told that was made while the walk went on.
const lateRenames = time.Minute

// passage is what the last walk of the whole place has seen. It is guarded by unit.mu.
type passage struct {
	mode   walkMode
	hash   maphash.Seed
	seen   map[uint64]struct{} // directories, by the hashes of their keys
	passed []weir.Handle       // others that have moved
	ended  bool
}

func (p *passage) saw(dir weir.Handle) bool {
	_, seen := p.seen[maphash.String(p.hash, string(dir))]
	return seen
}

// walkBegins begins a passage. None is needed if the replica has nothing: all comes anew, wherever it is.
func (u *unit) walkBegins(root weir.Handle, mode walkMode) error {
	var p *passage
	err := u.ix.Children(root, "", func(string, weir.Handle) (bool, error) {
		p = &passage{mode: mode, hash: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
		return false, nil
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.passage = p
	return err
}

// walkEnds ends it. It is kept for as long as renames are told late, unless the walk has failed: then there is another one.
func (u *unit) walkEnds(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.passage
	if err != nil || p == nil {
		u.passage = nil
		return
	}
	p.ended = true
	time.AfterFunc(lateRenames, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.passage == p {
			u.passage = nil
		}
	})
}

// sees notes that a directory was compared, if that was no less than the walk does.
func (u *unit) sees(dir weir.Handle, mode walkMode) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.passage
	if p != nil && mode.descends && (mode.audit || !p.mode.audit) && (mode.full || !p.mode.full) {
		p.seen[maphash.String(p.hash, string(dir))] = struct{}{}
	}
}

// saw reports whether the walk that goes on has compared a directory already.
func (u *unit) saw(dir weir.Handle) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.passage != nil && u.passage.saw(dir)
}

// passes has a directory that has moved walked, unless that was done: by the walk that goes on, or if there is none by another
// one, for which it returns true.
func (u *unit) passes(dir weir.Handle) (walk bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.passage
	if p == nil || p.saw(dir) {
		return false
	}
	if !p.ended {
		p.passed = append(p.passed, dir)
	}
	return p.ended
}

// passedBy returns what the walk that goes on has to come to yet.
func (u *unit) passedBy() (dirs []visit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.passage == nil {
		return nil
	}
	for _, key := range u.passage.passed {
		if !u.passage.saw(key) {
			dirs = append(dirs, visit{key: key, known: true})
		}
	}
	u.passage.passed = nil
	return dirs
}
