package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/weirfs/weir"
)

// attachment is one listener of a volume.
type attachment struct {
	plane  *Plane
	volume *Volume
	sink   weir.Sink

	mu     sync.Mutex
	wants  weir.Demand
	queue  []weir.Operation
	held   bool
	inside bool // a goroutine calls the sink; others leave their operations in the queue
	closed bool
	idle   sync.Cond // L is &mu
}

// put queues an operation and delivers it unless it is to be held.
func (a *attachment) put(op weir.Operation) {
	a.mu.Lock()
	if op.Ops &= a.wants.Ops; a.closed || op.Ops == 0 {
		a.mu.Unlock()
		return
	}
	a.queue = append(a.queue, op)
	held := a.held
	a.mu.Unlock()
	if !held {
		a.deliver(-1)
	}
}

func (a *attachment) hold(held bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = held
}

func (a *attachment) edit(change func([]weir.Operation) []weir.Operation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = change(a.queue)
}

// deliver hands over at most n operations, or all and whatever comes meanwhile if n is negative.
func (a *attachment) deliver(n int) {
	for batch := a.enter(n); batch != nil; batch = a.enter(n) {
		a.sink.Deliver(batch)
		a.leave()
		if n >= 0 {
			return
		}
	}
}

// enter takes a batch, with the caller inside, or returns nil if there is nothing to do here.
func (a *attachment) enter(n int) []weir.Operation {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n < 0 || n > len(a.queue) {
		n = len(a.queue)
	}
	if a.closed || a.inside || n == 0 {
		return nil
	}
	batch := slices.Clone(a.queue[:n])
	a.queue = slices.Delete(a.queue, 0, n)
	a.inside = true
	return batch
}

func (a *attachment) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside = false
	a.idle.Broadcast()
}

// drop forgets the queue and tells of it. It waits for a call that runs.
func (a *attachment) drop(reason string) {
	a.mu.Lock()
	for a.inside {
		a.idle.Wait()
	}
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.queue, a.inside = nil, true
	a.mu.Unlock()
	a.sink.Lost(reason)
	a.leave()
}

// Want implements weir.Attachment.
func (a *attachment) Want(_ context.Context, wants weir.Demand) error {
	a.volume.mu.Lock()
	err := a.volume.refusesLocked()
	a.volume.mu.Unlock()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wants = wants
	return nil
}

// Detach implements weir.Attachment.
func (a *attachment) Detach() error {
	a.volume.unlisten(a)
	a.plane.forget(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.queue = true, nil
	for a.inside {
		a.idle.Wait()
	}
	return nil
}

func (v *Volume) unlisten(a *attachment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.listeners = slices.DeleteFunc(slices.Clone(v.listeners), func(other *attachment) bool { return other == a })
}

func (p *Plane) forget(a *attachment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attachments = slices.DeleteFunc(p.attachments, func(other *attachment) bool { return other == a })
}
