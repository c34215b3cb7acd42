package replicate

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/weirfs/weir/replica"
)

// maxLater is how many items are put off one by one, apart from those that are owed and due in a moment. Beyond it
// the whole place is.
const maxLater = 4 * maxProblems

// laterHeap holds items that are looked at again at a later time. Each name stands in it once, with its
// earliest time. The zero value is empty.
type laterHeap struct {
	items []*putOff
	known map[replica.Name]*putOff
	walk  time.Time // when the whole place is walked, for names that do not stand here; zero if it is not

	owed      int       // how many of the items are
	owedSince time.Time // when that became more than 0
}

// putOff is an item, with what was reported on it and when it is due.
type putOff struct {
	at    time.Time
	item  replica.Item
	owed  bool // it is known to be unlike the source, and neither listed as a problem nor left in peace
	index int  // in the heap
}

func (h *laterHeap) Len() int           { return len(h.items) }
func (h *laterHeap) Less(i, j int) bool { return h.items[i].at.Before(h.items[j].at) }
func (h *laterHeap) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].index, h.items[j].index = i, j
}
func (h *laterHeap) Push(x any) {
	p := x.(*putOff)
	p.index = len(h.items)
	h.items = append(h.items, p)
}
func (h *laterHeap) Pop() any {
	end := len(h.items) - 1
	last := h.items[end]
	h.items[end] = nil
	h.items = h.items[:end]
	return last
}

// add puts an item off until at. An earlier time that it has already stays.
func (h *laterHeap) add(at time.Time, item replica.Item) {
	if len(h.items) >= maxLater && h.known[nameOfItem(item)] == nil {
		h.addWalk(at)
		return
	}
	h.put(at, item)
}

// owe puts an item off for a moment that is known to be owed.
func (h *laterHeap) owe(at time.Time, item replica.Item) {
	if p := h.put(at, item); !p.owed {
		p.owed = true
		if h.owed++; h.owed == 1 {
			h.owedSince = time.Now()
		}
	}
}

func (h *laterHeap) put(at time.Time, item replica.Item) *putOff {
	name := nameOfItem(item)
	p := h.known[name]
	if p == nil {
		if h.known == nil {
			h.known = make(map[replica.Name]*putOff)
		}
		p = &putOff{at: at, item: item}
		h.known[name] = p
		heap.Push(h, p)
		return p
	}
	p.item.Ops |= item.Ops
	p.item.Object = cmp.Or(item.Object, p.item.Object)
	if at.Before(p.at) {
		p.at = at
		heap.Fix(h, p.index)
	}
	return p
}

// addWalk has the whole place walked at a time. An earlier time stays.
func (h *laterHeap) addWalk(at time.Time) {
	if h.walk.IsZero() || at.Before(h.walk) {
		h.walk = at
	}
}

// due hands over the items whose time has come.
func (h *laterHeap) due(now time.Time, take func(replica.Item)) {
	for len(h.items) > 0 && !h.items[0].at.After(now) {
		p := heap.Pop(h).(*putOff)
		delete(h.known, nameOfItem(p.item))
		if p.owed {
			h.owed--
		}
		take(p.item)
	}
}

// walkDue reports, once, whether the whole place is to be walked now.
func (h *laterHeap) walkDue(now time.Time) bool {
	due := !h.walk.IsZero() && !h.walk.After(now)
	if due {
		h.walk = time.Time{}
	}
	return due
}

// next returns the earliest time.
func (h *laterHeap) next() (time.Time, bool) {
	switch {
	case len(h.items) == 0:
		return h.walk, !h.walk.IsZero()
	case !h.walk.IsZero() && h.walk.Before(h.items[0].at):
		return h.walk, true
	}
	return h.items[0].at, true
}

// nameOfItem tells a tree from its top, by what is no name.
func nameOfItem(i replica.Item) replica.Name {
	if i.Tree {
		return replica.Name{Parent: i.Dir, Name: "/"}
	}
	return replica.Name{Parent: i.Dir, Name: i.Name}
}
