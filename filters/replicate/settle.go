package replicate

import (
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// after plans the next look at a file that was copied: it may have changed since, and a file that keeps
// changing must not be copied all the time.
func (b *batch) after(f *find) {
	wait := replica.Settle(f.copied.cost)
	u := b.u
	u.mu.Lock()
	defer u.mu.Unlock()
	u.settle[f.key] = settling{at: f.at, until: time.Now().Add(wait)}
	u.later.add(time.Now().Add(wait), f.item(weir.OpAttrib))
}

// settling is how long a file is left in peace after a copy that was dear.
type settling struct {
	at    replica.Name // where it was looked at last
	until time.Time
	owed  bool // the file has changed since
	begun bool // it is being written, and was not copied before
}

// settling reports whether a file is left in peace now, and has what was found looked at when that ends.
func (u *unit) settling(file weir.Handle, f *find) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	st, ok := u.settle[file]
	if !ok || st.begun {
		return false
	}
	if u.hurry || !time.Now().Before(st.until) {
		delete(u.settle, file)
		return false
	}
	st.at, st.owed = f.at, true
	u.settle[file] = st
	u.later.add(st.until, f.item(f.ops))
	return true
}

// beginning is how long a file is waited for that somebody has begun to write: most are closed long before.
const beginning = 500 * time.Millisecond

// unfinished reports whether somebody has begun to write a file, as one that is new or was cut short tells, and has it
// open. It is left in peace until that ends, for a while: who reads the replica sees the former file, and not half of
// the next. size is what was seen of it.
func (u *unit) unfinished(f *find, src *tree.File, size int64) bool {
	begins := f.isNew || size < f.former
	u.mu.Lock()
	st, waits := u.settle[f.key]
	waits = waits && st.begun
	u.mu.Unlock()
	if f.waited || !begins && !waits {
		return false
	}
	writer, err := src.HasWriter()
	u.mu.Lock()
	defer u.mu.Unlock()
	f.waited = waits && !time.Now().Before(st.until)
	switch {
	case err != nil || !writer || u.hurry || f.waited:
		if waits {
			delete(u.settle, f.key)
		}
		return false
	case !waits:
		st = settling{until: time.Now().Add(beginning), owed: true, begun: true}
	}
	st.at = f.at
	u.settle[f.key] = st
	u.later.add(st.until, f.item(f.ops))
	return true
}

// succeeds reports whether a large file has replaced one that is left in peace now: it waits in its stead.
func (b *batch) succeeds(f *find) bool {
	former, taken, err := b.u.ix.Child(f.at.Parent, f.at.Name)
	if err != nil || !taken || former == f.key {
		return false
	}
	alive, err := b.s.alive(former) // Then it has another name now, and takes its peace along.
	return err == nil && !alive && b.u.settling(former, f)
}

// rested forgets that a file was left in peace: it is what it was, or is not there.
func (u *unit) rested(key weir.Handle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.settle, key)
}

// overtaken forgets that a file was left in peace which the replica does not have yet, and which has lost its name: it is
// not looked at under that any more, and under another one anew.
func (b *batch) overtaken(f *find) error {
	var others []weir.Handle
	b.u.mu.Lock()
	for key, st := range b.u.settle {
		if st.at == f.at && (f.absent || key != f.key) {
			others = append(others, key)
		}
	}
	b.u.mu.Unlock()
	for _, key := range others {
		if _, known, err := b.ix.Get(key); err != nil {
			return err
		} else if !known {
			b.u.rested(key)
		}
	}
	return nil
}

// owedLocked counts the files that have changed and wait for their next copy. u.mu is held.
func (u *unit) owedLocked() int {
	n := 0
	for _, st := range u.settle {
		if st.owed {
			n++
		}
	}
	return n
}
