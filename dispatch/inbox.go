package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
)

// inbox brings operations to one instance, from one goroutine at a time. A goroutine that finds the
// instance free goes inside with what it has, without a copy and without a queue; one that finds it
// occupied, or not yet set up, leaves its operations for whoever is inside, or will open it.
type inbox struct {
	wants atomic.Uint32 // weir.Ops
	skips skips
	limit int
	spare atomic.Pointer[[]weir.Operation] // room for what is picked, while nobody uses it
	fail  func(callback string, p any)     // told of panics
	slow  *slows                           // of the instance

	mu        sync.Mutex
	instance  weir.Instance // nil until open
	closed    bool
	abandoned bool          // nobody waits for who is inside, who calls nothing more
	inside    string        // the callback that runs; empty if nobody is inside
	idle      chan struct{} // closed when nobody is inside; made by close
	queue     []weir.Operation
	lost      string
	changed   bool

	completed uint64
	times     Histogram
}

// deliver implements the part of weir.Sink for this instance.
func (b *inbox) deliver(ops []weir.Operation) {
	ops, room := b.pick(ops)
	if len(ops) > 0 {
		if instance := b.enter(completedCallback, func() { b.put(ops) }); instance != nil {
			b.hand(instance, ops)
			b.empty(instance)
		}
	}
	if room != nil {
		clear(*room) // Names and handles must not stay in memory.
		b.spare.Store(room)
	}
}

// hand delivers operations. The caller is inside.
func (b *inbox) hand(instance weir.Instance, ops []weir.Operation) {
	began := time.Now()
	b.complete(instance, ops)
	took := time.Since(began)
	b.slow.noteDelivery(ops, began, took)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.completed += uint64(len(ops))
	b.times.add(took)
}

// The calls to the instance. What one has panicked over may be half done, so that the instance has to look everywhere.
func (b *inbox) complete(instance weir.Instance, ops []weir.Operation) {
	defer b.recovered(completedCallback)
	instance.Completed(ops)
}

func (b *inbox) tellChanged(instance weir.Instance) {
	defer b.recovered(changedCallback)
	instance.Changed()
}

func (b *inbox) tellLost(instance weir.Instance, reason string) {
	defer b.recovered(lostCallback)
	instance.Lost(reason)
}

const (
	completedCallback = "Completed"
	lostCallback      = "Lost"
	changedCallback   = "Changed"
)

// recovered is deferred by whoever calls the instance, and is inside.
func (b *inbox) recovered(callback string) {
	p := recover()
	if p == nil {
		return
	}
	b.fail(callback, p)
	if callback != lostCallback { // Who panics over that has been told.
		b.mu.Lock()
		b.queue, b.lost = nil, "a panic in "+callback
		b.mu.Unlock()
	}
}

// measure adds what has been delivered.
func (b *inbox) measure(s *Stats) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Completed += b.completed
	s.Delivery.merge(&b.times)
}

// pick returns the operations that the filter wants: the very slice if it wants all, else one in room, which the caller gives
// back.
func (b *inbox) pick(ops []weir.Operation) (wanted []weir.Operation, room *[]weir.Operation) {
	wants := weir.Ops(b.wants.Load())
	if b.wantsAll(ops, wants) {
		return ops, nil
	}
	if room = b.spare.Swap(nil); room == nil {
		room = new([]weir.Operation)
	}
	wanted = (*room)[:0]
	for _, op := range ops {
		if op.Ops &= wants; op.Ops != 0 && !b.skips.hold(op.IsDir, op.PID) {
			wanted = append(wanted, op)
		}
	}
	*room = wanted
	return wanted, room
}

func (b *inbox) wantsAll(ops []weir.Operation, wants weir.Ops) bool {
	for i := range ops {
		if ops[i].Ops&^wants != 0 || b.skips.hold(ops[i].IsDir, ops[i].PID) {
			return false
		}
	}
	return true
}

// enter returns the instance if it is set up and free, with the caller inside, in a callback; else it runs leave under
// the lock, unless the inbox is closed.
func (b *inbox) enter(callback string, leave func()) weir.Instance {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
	case b.inside != "" || b.instance == nil:
		leave()
	default:
		b.inside = callback
		return b.instance
	}
	return nil
}

// put keeps a copy of ops. Beyond the limit everything that waits becomes one loss. b.mu is held.
func (b *inbox) put(ops []weir.Operation) {
	switch {
	case b.lost != "": // whoever has to look everywhere needs no more hints
	case len(b.queue)+len(ops) > b.limit:
		b.queue, b.lost = nil, "more operations came than could wait for the instance"
	default:
		b.queue = append(b.queue, ops...)
	}
}

// lose tells the instance that operations were lost.
func (b *inbox) lose(reason string) {
	if instance := b.enter(lostCallback, func() { b.queue, b.lost = nil, reason }); instance != nil {
		b.tellLost(instance, reason)
		b.empty(instance)
	}
}

// change tells the instance that its volume's mounts have changed.
func (b *inbox) change() {
	if instance := b.enter(changedCallback, func() { b.changed = true }); instance != nil {
		b.tellChanged(instance)
		b.empty(instance)
	}
}

// open hands the inbox over to an instance that has been set up, and delivers what has come meanwhile.
func (b *inbox) open(instance weir.Instance) {
	b.mu.Lock()
	closed := b.closed // it has been withdrawn again
	if !closed {
		b.instance, b.inside = instance, completedCallback
	}
	b.mu.Unlock()
	if !closed {
		b.empty(instance)
	}
}

// empty delivers what has been left in the inbox, and goes outside. The caller is inside.
func (b *inbox) empty(instance weir.Instance) {
	for call := b.next(instance); call != nil; call = b.next(instance) {
		call()
	}
}

// next returns the call that brings the instance what has been left in the inbox; where nothing was, or nobody waits any
// more for who is inside, he goes outside. The caller is inside.
func (b *inbox) next(instance weir.Instance) (call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	queue, lost := b.queue, b.lost
	switch {
	case b.abandoned:
	case b.changed:
		b.changed, b.inside = false, changedCallback
		return func() { b.tellChanged(instance) }
	case lost != "":
		b.lost, b.inside = "", lostCallback
		return func() { b.tellLost(instance, lost) }
	case len(queue) > 0:
		b.queue, b.inside = nil, completedCallback
		return func() { b.hand(instance, queue) }
	}
	b.inside = ""
	if b.idle != nil {
		close(b.idle)
	}
	return nil
}

// close lets nothing in any more, and returns what is closed when nobody is inside. What waits is delivered by whoever is.
func (b *inbox) close() (idle <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.idle == nil {
		b.idle = make(chan struct{})
		if b.inside == "" {
			close(b.idle)
		}
	}
	return b.idle
}

// abandon has whoever is inside call nothing more when his callback returns.
func (b *inbox) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.abandoned = true, true
}

// running returns the callback that runs, or "".
func (b *inbox) running() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inside
}
