package replicate

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// Intents tell what weir has put under a name, or has not taken away yet, from what somebody else has put there.
// The index may be behind the target, after a crash of weir, or ahead of it, after a power cut of the target; until
// a barrier has passed, the objects at the intended names are therefore no proof of a stranger.

// intend writes down which names are about to change, and makes the temporaries durable. What is new may be durable
// on the target before the index says so, hence the intent is durable before. A name that is only taken away may
// come back if the target loses power: then it is enough that the intent comes before the record. It reports whether
// there are any.
func (b *batch) intend(gen uint64) (some bool, err error) {
	list, makes, err := b.intents()
	if err != nil || len(list) == 0 {
		return false, err
	}
	w := b.u.ix.NewBatch()
	w.Meta(fmt.Sprintf("%s%020d", metaIntent, gen), encodeIntents(list))
	if !makes {
		return true, w.Commit(false)
	}
	return true, together(func() error { return w.Commit(true) }, b.syncData)
}

// intent is a name that is about to change, and the node that gets it, or loses it.
type intent struct {
	replica.Name
	key weir.Handle
}

// intents lists the names that showing may create, replace or take away, and reports whether anything new comes.
func (b *batch) intents() (list []intent, makes bool, err error) {
	for _, f := range b.finds {
		if f.skip || f.problem != nil || (f.large || f.deferred) && f.isNew || b.rests(f) {
			continue
		}
		if f.exists {
			continue // What stands there may be a stranger's until the moment at which it is set aside.
		}
		key, taken, err := b.u.ix.Child(f.at.Parent, f.at.Name)
		if err != nil {
			return nil, false, err
		}
		switch {
		case f.absent:
			if taken {
				list = append(list, intent{f.at, key})
			}
			continue
		case f.copied == nil && !f.isNew && taken && key == f.key:
			continue // It has its name, and keeps its object.
		}
		if taken && key != f.key {
			list = append(list, intent{f.at, key})
		}
		list, makes = append(list, intent{f.at, f.key}), true
		if f.isNew {
			continue
		}
		// New content comes under all names of a file, and what has moved may be found where it was.
		err = b.u.ix.NamesOf(f.key, func(n replica.Name) (bool, error) {
			if n != f.at {
				list = append(list, intent{n, f.key})
			}
			return f.copied != nil || len(list) < walkChunk*2, nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	return list, makes, nil
}

// loadIntents reads the names whose objects are weir's own whatever the index says, and keeps them until an audit
// has looked at them. It returns them in the order of their generations, and the last of these.
func (u *unit) loadIntents() (list []intent, last uint64, err error) {
	u.intended, u.wandered = make(map[replica.Name]bool), make(map[weir.Handle]bool)
	err = u.ix.MetaRange(metaIntent, func(key string, value []byte) (bool, error) {
		gen, err := strconv.ParseUint(key[len(metaIntent):], 10, 64)
		if err != nil {
			return false, fmt.Errorf("read %s of the index: %w", key, err)
		}
		last = max(last, gen)
		for _, i := range decodeIntents(value) {
			u.intended[i.Name] = true
			list = append(list, i)
		}
		return true, nil
	})
	u.keepIntents.Store(last)
	return list, last, err
}

// suspects are the generations of which the target may have lost what they wrote: those after one and until another.
type suspects struct {
	after, until uint64
	rewrite      bool // a look at the target may show what its disk does not have
}

func (s suspects) has(gen uint64) bool { return gen > s.after && gen <= s.until }

// doubt keeps all intents, since the target may have lost power, until an audit that begins later has ended, and
// suspects what was shown up to a generation and is not durable.
func (u *unit) doubt(shown uint64, rewrite bool) {
	u.keepIntents.Store(math.MaxUint64)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.suspectLocked(shown, rewrite)
}

func (u *unit) suspectLocked(shown uint64, rewrite bool) {
	after := u.barrier.settled.Load()
	if u.suspects.until > 0 {
		after = min(after, u.suspects.after)
	}
	u.suspects = suspects{after, max(shown, u.suspects.until), rewrite || u.suspects.rewrite}
}

// audited forgets the intents up to a generation, which an audit has looked at; the next barrier removes them. If
// the target was doubted again meanwhile they stay.
func (u *unit) audited(last uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keepIntents.CompareAndSwap(last, 0) && !u.bulk.busyLocked() && u.owedLocked() == 0 {
		u.suspects = suspects{}
	}
}

func encodeIntents(list []intent) []byte {
	var out []byte
	for _, i := range list {
		for _, part := range []string{string(i.Parent), i.Name.Name, string(i.key)} {
			out = binary.AppendUvarint(out, uint64(len(part)))
			out = append(out, part...)
		}
	}
	return out
}

// decodeIntents reads what encodeIntents wrote. What is cut short is left out: an intent that was not written
// whole was not acted upon.
func decodeIntents(in []byte) []intent {
	var list []intent
	for len(in) > 0 {
		var parts [3]string
		for i := range parts {
			n, size := binary.Uvarint(in)
			if size <= 0 || n > uint64(len(in)-size) {
				return list
			}
			parts[i], in = string(in[size:size+int(n)]), in[size+int(n):]
		}
		at := replica.Name{Parent: weir.Handle(parts[0]), Name: parts[1]}
		list = append(list, intent{at, weir.Handle(parts[2])})
	}
	return list
}
