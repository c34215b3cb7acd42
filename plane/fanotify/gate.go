package fanotify

import "sync"

// gate lets one goroutine in at a time until it is shut. The zero value is open.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside bool
	empty  sync.Cond // L is &mu once somebody waits
}

// enter reports whether the caller may go in; if so it must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside = true
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside = false
	g.empty.Broadcast()
}

// shut lets nobody in any more and returns when nobody is inside.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.empty.L = &g.mu
	for g.inside {
		g.empty.Wait()
	}
}
