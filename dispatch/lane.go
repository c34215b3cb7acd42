package dispatch

import "sync"

// lanes is how many shares an instance's calls are kept in, so that operations on different processors rarely meet.
const lanes = 8

// phase is how far an instance is, as its lanes see it.
type phase uint8

const (
	shut     phase = iota // not yet set up: operations pass it by
	open                  // operations enter
	closed                // none enters; those inside go on
	draining              // as closed, and a call that is to have its Post has it at once
	ended                 // the teardown waits no longer: what was inside is left behind
)

// lane is one share of the calls that are inside an instance.
type lane struct {
	mu     sync.Mutex
	phase  phase
	late   bool    // what is pended has had its time, and fails
	calls  []*call // inside, each at its index
	drains int     // draining Posts that run
	flow   Flow
	times  [callbacks]Histogram

	_ [64]byte // the next lane has its own cache line
}

// enter lets a call in, unless the instance is not set up, or its teardown has begun.
func (l *lane) enter(c *call, as position) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != open {
		return false
	}
	c.index = len(l.calls)
	l.calls = append(l.calls, c)
	c.position = as
	l.flow.Operations++
	if as == owed {
		l.flow.Owed++
	}
	return true
}

// removeLocked lets a call out.
func (l *lane) removeLocked(c *call) {
	last := len(l.calls) - 1
	l.calls[c.index] = l.calls[last]
	l.calls[c.index].index = c.index
	l.calls[last] = nil
	l.calls = l.calls[:last]
	c.position = outside
}

// idleLocked tells whether nothing is inside, and nothing will be.
func (l *lane) idleLocked() bool { return l.phase >= closed && len(l.calls) == 0 && l.drains == 0 }
