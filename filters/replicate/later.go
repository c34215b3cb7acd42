package replicate

import (
	"container/heap"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// laterHeap holds items that are looked at again at a later time. Each name stands in it once, with its
// earliest time.
type laterHeap struct {
	items []laterItem
	known map[replica.Name]putOff
}

// putOff is when a name is due, and what was reported on it.
type putOff struct {
	at  time.Time
	ops weir.Ops
}

type laterItem struct {
	at   time.Time
	item replica.Item
}

func (h *laterHeap) Len() int           { return len(h.items) }
func (h *laterHeap) Less(i, j int) bool { return h.items[i].at.Before(h.items[j].at) }
func (h *laterHeap) Swap(i, j int)      { h.items[i], h.items[j] = h.items[j], h.items[i] }
func (h *laterHeap) Push(x any)         { h.items = append(h.items, x.(laterItem)) }
func (h *laterHeap) Pop() any {
	last := h.items[len(h.items)-1]
	h.items = h.items[:len(h.items)-1]
	return last
}

// add puts an item off until at. An earlier time that it has already stays.
func (h *laterHeap) add(at time.Time, item replica.Item) {
	name := nameOfItem(item)
	before, ok := h.known[name]
	if item.Ops |= before.ops; ok && !at.Before(before.at) {
		h.known[name] = putOff{before.at, item.Ops}
		return
	}
	if h.known == nil {
		h.known = make(map[replica.Name]putOff)
	}
	h.known[name] = putOff{at, item.Ops}
	heap.Push(h, laterItem{at, item})
}

// due hands over the items whose time has come.
func (h *laterHeap) due(now time.Time, take func(replica.Item)) {
	for len(h.items) > 0 && !h.items[0].at.After(now) {
		i := heap.Pop(h).(laterItem)
		name := nameOfItem(i.item)
		i.item.Ops |= h.known[name].ops
		delete(h.known, name)
		take(i.item)
	}
}

// next returns the earliest time.
func (h *laterHeap) next() (time.Time, bool) {
	if len(h.items) == 0 {
		return time.Time{}, false
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
