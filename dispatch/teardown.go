package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/weirfs/weir"
)

// Patience is how long a teardown waits for what does not end.
type Patience struct {
	// Inside ends when running callbacks, and operations that are pended, have had their time: then those that are still
	// pended fail.
	Inside context.Context
	// Teardown is told when it has had its time.
	Teardown context.Context
	// Holds ends when whoever holds the instance has had his time.
	Holds context.Context
	// All is closed when nothing is waited for any more, not even a callback.
	All <-chan struct{}
}

// Query asks the instance whether it may be detached by hand.
func (in *Instance) Query(ctx context.Context) (err error) {
	querier, ok := in.callback.(weir.TeardownQuerier)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in QueryTeardown: %v\n%s", p, debug.Stack())
		}
	}()
	return querier.QueryTeardown(ctx)
}

// TearDown ends an instance that was set up and has been taken out of its stack. From its begin no operation enters. It
// returns what is not waited for any more.
func (in *Instance) TearDown(p Patience, callback weir.Instance, reason weir.TeardownReason) (left []string) {
	step := func(name string, call func()) {
		if !in.step(p, name, call) {
			left = append(left, name)
		}
	}
	in.close()
	if starter, ok := callback.(weir.TeardownStarter); ok {
		step("TeardownStart", func() { starter.TeardownStart(reason) })
	}
	if in.inbox.close(p.Inside) != nil {
		left = append(left, "a call with completed operations")
	}
	step("a draining Post", func() { in.drain(p.Inside) })
	select {
	case <-in.idle:
	case <-p.Inside.Done():
	case <-p.All:
	}
	if kept := in.abandon(); len(kept) > 0 {
		left = append(left, summary(kept))
	}
	step("Teardown", func() { callback.Teardown(p.Teardown, reason) })
	select {
	case <-in.holds.end():
	case <-p.Holds.Done():
	case <-p.All:
	}
	left = append(left, in.holds.keepers()...)
	in.End()
	return left
}

// step calls a callback, and waits for it for as long as anything is waited for. It returns whether the callback
// has returned.
func (in *Instance) step(p Patience, name string, call func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				in.logger.Error("panic in a filter", "instance", in.label, "in", name, "panic", v, "stack", string(debug.Stack()))
			}
		}()
		call()
	}()
	select {
	case <-done:
		return true
	case <-p.All:
		in.logger.Error("a filter does not return, and is not waited for", "instance", in.label, "from", name)
		return false
	}
}

// close lets no operation in, and nobody hold the instance.
func (in *Instance) close() {
	in.holds.close()
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		l.phase = closed
		in.noteIdleLocked(l)
		l.mu.Unlock()
	}
	if len(in.lanes) == 0 {
		close(in.idle)
	}
}

// drain calls the Post of every operation that is below the instance, and has those that come later do so themselves.
func (in *Instance) drain(ctx context.Context) {
	for i := range in.lanes {
		for _, c := range in.lanes[i].drain() {
			c.drainPost(ctx)
		}
	}
}

// drain takes the owed calls out of the lane, and returns copies of them.
func (l *lane) drain() (copies []*call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = draining
	for _, c := range slices.Clone(l.calls) {
		if c.position == owed {
			c.drainLocked()
			copies = append(copies, c.copy())
		}
	}
	return copies
}

// abandon has what is still inside leave, which it returns: operations that are pended fail, and callbacks that run are
// waited for no more.
func (in *Instance) abandon() (kept []string) {
	kept = in.callsInside()
	if len(kept) > 0 {
		in.logger.Error("an instance ends with operations inside", "instance", in.label, "operations", summary(kept))
	}
	for i := range in.lanes {
		in.lanes[i].abandon(in)
	}
	return kept
}

func (l *lane) abandon(in *Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	idle := l.idleLocked()
	l.phase = ended
	for len(l.calls) > 0 {
		c := l.calls[0]
		held := c.position == heldPre || c.position == heldPost
		l.removeLocked(c)
		c.verdict, c.pended = forced, true
		if held {
			close(c.wake)
		}
	}
	l.drains = 0
	if !idle {
		in.noteIdleLocked(l)
	}
}

// End frees what an instance has, which was torn down or not set up.
func (in *Instance) End() {
	in.holds.end()
	in.contexts.End()
}

// Keepers says what keeps the instance from its end, or would.
func (in *Instance) Keepers() []string {
	kept := in.holds.keepers()
	if calls := in.callsInside(); len(calls) > 0 {
		kept = append(kept, summary(calls))
	}
	return kept
}

// callsInside names the calls that a teardown has to wait for.
func (in *Instance) callsInside() (list []string) {
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		for _, c := range l.calls {
			if c.position != owed {
				list = append(list, fmt.Sprintf("%s: %s of %s", c.position, c.above.Op, weir.QuotePath(c.above.Name)))
			}
		}
		if l.drains > 0 {
			list = append(list, fmt.Sprintf("%d draining Posts", l.drains))
		}
		l.mu.Unlock()
	}
	return list
}

// summary lists the first of many.
func summary(list []string) string {
	const shown = 5
	if len(list) <= shown {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
}

// String says where a call is.
func (p position) String() string {
	switch p {
	case inPre, resumedPre:
		return "in Pre"
	case heldPre:
		return "pended by Pre"
	case inPost, resumedPost:
		return "in Post"
	case heldPost:
		return "pended by Post"
	}
	return "below"
}
