package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
)

// Patience is how long a teardown waits for what does not end. Callbacks that run have no time of their own: Teardown is
// called when they have returned.
type Patience struct {
	Pended   time.Duration   // then the operations that are still pended fail
	Teardown time.Duration   // then Teardown is told, from its begin
	Hurry    context.Context // when it ends, both are over, and whoever holds the instance is waited for no more
	All      <-chan struct{} // closed when nothing is waited for any more, not even a callback
}

// Query asks the instance whether it may be detached by hand.
func (in *Instance) Query(ctx context.Context) (err error) {
	querier, ok := in.callback.(weir.TeardownQuerier)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			in.panicked("QueryTeardown", p)
			err = fmt.Errorf("panic in QueryTeardown: %v", p)
		}
	}()
	return querier.QueryTeardown(ctx)
}

// ending is the teardown of an instance.
type ending struct {
	*Instance
	Patience
	pended context.Context // ends when what is pended has had its time
	left   []string        // what is not waited for any more
}

// TearDown ends an instance that was set up and has been taken out of its stack. From its begin no operation enters. Where
// a callback does not return before all patience is over, nothing is called after that, not even Teardown. It returns what is
// not waited for any more.
func (in *Instance) TearDown(p Patience, callback weir.Instance, reason weir.TeardownReason) (left []string) {
	pended, cancel := context.WithTimeout(p.Hurry, p.Pended)
	defer cancel()
	e := &ending{Instance: in, Patience: p, pended: pended}
	in.close()
	if !e.empty(callback, reason) || !e.tearDown(callback, reason) {
		e.abandon()
	}
	select {
	case <-in.holds.end():
	case <-p.Hurry.Done():
	case <-p.All:
	}
	in.End()
	return append(e.left, in.holds.keepers()...)
}

// empty waits until nothing is inside the instance. It returns false if a callback has not returned.
func (e *ending) empty(callback weir.Instance, reason weir.TeardownReason) bool {
	if starter, ok := callback.(weir.TeardownStarter); ok {
		if !e.step("TeardownStart", func() { starter.TeardownStart(reason) }) {
			return false
		}
	}
	drained := make(chan struct{})
	go func() { defer close(drained); e.drain(e.pended) }()
	return e.await(drained) && e.await(e.inbox.close()) && e.await(e.idle)
}

// tearDown calls Teardown. It returns false if that has not returned.
func (e *ending) tearDown(callback weir.Instance, reason weir.TeardownReason) bool {
	ctx, cancel := context.WithTimeout(e.Hurry, e.Teardown)
	defer cancel()
	return e.step("Teardown", func() { callback.Teardown(ctx, reason) })
}

// step calls a callback, and waits for it. It returns false if it has not returned.
func (e *ending) step(name string, call func()) bool {
	done := make(chan struct{})
	e.Instance.step.Store(&name)
	go func() {
		defer close(done)
		defer e.Instance.step.Store(nil)
		defer func() {
			if v := recover(); v != nil {
				e.logger.Error("panic in a filter", "instance", e.label, "in", name, "panic", v, "stack", string(debug.Stack()))
			}
		}()
		call()
	}()
	return e.await(done)
}

// await waits for what runs in the instance. What is pended fails meanwhile, as soon as it has had its time. It returns
// false if nothing is waited for any more.
func (e *ending) await(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-e.All:
		return false
	case <-e.pended.Done():
	}
	e.failPended()
	select {
	case <-done:
		return true
	case <-e.All:
		return false
	}
}

// failPended has the operations fail that are pended, and those that will be.
func (e *ending) failPended() {
	var failed []string
	for i := range e.lanes {
		failed = append(failed, e.lanes[i].fail(e.Instance)...)
	}
	if len(failed) > 0 {
		e.left = append(e.left, summary(failed))
		e.logger.Error("an instance ends with operations inside", "instance", e.label, "operations", summary(failed))
	}
}

func (l *lane) fail(in *Instance) (failed []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = true
	for _, c := range slices.Clone(l.calls) {
		if c.heldLocked() {
			failed = append(failed, c.whereLocked())
			c.giveUpLocked()
		}
	}
	if len(failed) > 0 {
		in.noteIdleLocked(l)
	}
	return failed
}

// close lets no operation in, and nobody hold the instance.
func (in *Instance) close() {
	in.holds.close()
	in.inbox.close()
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

// abandon leaves behind the callbacks that run. When they return, the operations go on, and nothing is called after them.
func (e *ending) abandon() {
	running := e.running()
	e.left = append(e.left, running...)
	e.logger.Error("a filter does not return, and is not waited for", "instance", e.label, "callbacks", strings.Join(running, "; "))
	e.inbox.abandon()
	for i := range e.lanes {
		e.lanes[i].abandon(e.Instance)
	}
}

func (l *lane) abandon(in *Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	idle := l.idleLocked()
	l.phase = ended
	for len(l.calls) > 0 {
		l.calls[0].giveUpLocked()
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
func (in *Instance) Keepers() []string { return append(in.holds.keepers(), in.running()...) }

// running names the callbacks that run, and the operations that are pended.
func (in *Instance) running() (list []string) {
	if step := in.step.Load(); step != nil {
		list = append(list, "in "+*step)
	}
	if callback := in.inbox.running(); callback != "" {
		list = append(list, "in "+callback)
	}
	if calls := in.callsInside(); len(calls) > 0 {
		list = append(list, summary(calls))
	}
	return list
}

// callsInside names the calls that a teardown has to wait for.
func (in *Instance) callsInside() (list []string) {
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		for _, c := range l.calls {
			if c.position != owed {
				list = append(list, c.whereLocked())
			}
		}
		if l.drains > 0 {
			list = append(list, "in a draining Post"+times(l.drains))
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
