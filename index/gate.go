package index

import "sync"

// gate keeps the engine open while it is used, since the engine panics when it is used after it was
// closed.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when nobody is inside any more; made by close
}

// enter returns how to leave.
func (g *gate) enter() (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	g.inside++
	return g.leave, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// close lets nobody in and waits until everybody has left, or until giveUp is closed. It reports whether
// this call closed it.
func (g *gate) close(giveUp <-chan struct{}) bool {
	g.mu.Lock()
	first := !g.closed
	if first {
		g.closed = true
		g.empty = make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
	case <-giveUp:
	}
	return first
}
