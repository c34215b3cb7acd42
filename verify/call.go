package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// stage is where a call is.
type stage uint8

const (
	inPre stage = iota + 1
	pendedPre
	below // it comes back
	inPost
	pendedPost
	ended
)

// call is one operation in one instance that is watched. The manager uses its calls again for other operations; this one
// is made for one, so that whoever keeps it longer is found out.
type call struct {
	in        *instance
	operation string
	after     bool // the operation comes back if Pre wants that

	mu      sync.Mutex
	inner   weir.Call
	stage   stage
	drain   bool
	dirty   bool
	resumed [ended]bool // of pendedPre and pendedPost: whoever resumes a second time may find the operation further on
	givenUp bool
	keeps   bool
	kept    any
	found   found // when the callback began
	alarms  []func() bool
}

func (in *instance) newCall(inner weir.Call) *call {
	p := inner.Parameters()
	return &call{
		in: in, inner: inner, stage: inPre, found: look(inner), after: in.filter.After&p.Op != 0,
		operation: fmt.Sprintf("%s of %s", p.Op, weir.QuotePath(p.Name)),
	}
}

// backAgain returns the call of an operation that is on its way back.
func (in *instance) backAgain(inner weir.Call) *call {
	c, _ := inner.Kept().(*call)
	if c == nil { // there was no Pre
		c = in.newCall(inner)
	}
	if inner.Draining() {
		drained := in.newCall(inner)
		drained.stage, drained.drain, drained.kept = inPost, true, c.kept
		c.end()
		return drained
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inner, c.stage, c.found = inner, inPost, look(inner)
	return c
}

// with returns the call of the manager while the operation is with the filter, and reports it otherwise.
func (c *call) with(method string) weir.Call {
	c.mu.Lock()
	inner, stage := c.inner, c.stage
	c.mu.Unlock()
	if stage != below && stage != ended {
		return inner
	}
	c.in.report(useAfterEnd, c, "%s is called when the operation has gone on", method)
	return nil
}

// Parameters implements weir.Call.
func (c *call) Parameters() *weir.Parameters {
	if inner := c.with("Parameters"); inner != nil {
		return inner.Parameters()
	}
	p := c.found.parameters
	return &p
}

// MarkDirty implements weir.Call.
func (c *call) MarkDirty() {
	if inner := c.with("MarkDirty"); inner != nil {
		c.mu.Lock()
		c.dirty = true
		c.mu.Unlock()
		inner.MarkDirty()
	}
}

// Result implements weir.Call.
func (c *call) Result() *weir.Result {
	if inner := c.with("Result"); inner != nil {
		return inner.Result()
	}
	return new(weir.Result)
}

// Draining implements weir.Call.
func (c *call) Draining() bool { return c.drain }

// Keep implements weir.Call.
func (c *call) Keep(value any) {
	c.with("Keep")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.keeps = value, true
}

// Kept implements weir.Call.
func (c *call) Kept() any {
	c.with("Kept")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// ResumePre implements weir.Call.
func (c *call) ResumePre(status weir.PreStatus) error {
	if status == weir.PrePend || !known(status) {
		c.in.report(preStatus, c, "the operation is resumed with %s (%d)", status, status)
		return c.refuse()
	}
	if err := c.claim(inPre, pendedPre); err != nil {
		return err
	}
	c.preDecided(status)
	return c.resume(func(inner weir.Call) error { return inner.ResumePre(status) })
}

// ResumePost implements weir.Call.
func (c *call) ResumePost() error {
	if c.drain { // Who drains does not wait: the operation may have gone on already.
		c.in.report(pendDraining, c, "a draining Post has resumed the operation")
		return c.refuse()
	}
	if err := c.claim(inPost, pendedPost); err != nil {
		return err
	}
	c.postDecided()
	return c.resume(weir.Call.ResumePost)
}

// claim lets one goroutine resume the call, and reports others.
func (c *call) claim(running, pended stage) error {
	c.mu.Lock()
	stage, resumed, givenUp := c.stage, c.resumed[pended], c.givenUp
	ok := !resumed && !givenUp && (stage == running || stage == pended)
	if ok {
		c.resumed[pended] = true
	}
	c.mu.Unlock()
	switch {
	case ok:
		c.unpend()
		return nil
	case givenUp:
		c.in.report(lateResume, c, "the operation is resumed after the instance has ended without it")
	case resumed:
		c.in.report(doubleResume, c, "the operation is resumed a second time")
	default:
		c.in.report(notPended, c, "an operation is resumed that is not pended")
	}
	return c.refuse()
}

func (c *call) refuse() error {
	return &weir.Error{Op: "resume operation", Kind: weir.KindRefused, Err: errors.New("it is not pended, or has been resumed")}
}

// resume lets the manager go on. That it refuses means that it has not waited longer.
func (c *call) resume(call func(weir.Call) error) error {
	err := call(c.inner)
	if err != nil {
		c.end()
		c.in.report(lateResume, c, "the operation is resumed after the manager has given it up")
	}
	return err
}

// pend watches a call that its callback has pended. ctx is that of the callback.
func (c *call) pend(ctx context.Context, stage stage) {
	limits := c.in.verifier.options
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resumed[stage] {
		return
	}
	c.stage = stage
	c.in.mu.Lock()
	c.in.pended[c] = true
	c.in.mu.Unlock()
	c.alarms = append(c.alarms,
		time.AfterFunc(limits.Pended, func() { c.overdue(stage, "the operation has been pended for %v", limits.Pended) }).Stop,
		context.AfterFunc(ctx, func() {
			time.AfterFunc(limits.Callback, func() {
				c.overdue(stage, "the program has given up, and %v later the operation is still pended", limits.Callback)
			})
		}))
}

// overdue reports the call if it is still pended in that stage.
func (c *call) overdue(stage stage, what string, limit time.Duration) {
	c.mu.Lock()
	waits := c.stage == stage && c.waitsLocked()
	c.mu.Unlock()
	if waits {
		c.in.report(neverResumed, c, what, limit)
	}
}

// waitsLocked tells whether the call is pended, and nobody has resumed it.
func (c *call) waitsLocked() bool {
	return (c.stage == pendedPre || c.stage == pendedPost) && !c.resumed[c.stage]
}

// unpend ends the watch.
func (c *call) unpend() {
	c.mu.Lock()
	alarms := c.alarms
	c.alarms = nil
	c.mu.Unlock()
	for _, stop := range alarms {
		stop()
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	delete(c.in.pended, c)
}

// giveUp says that the manager waits no longer for a call that is pended.
func (c *call) giveUp() {
	c.unpend()
	c.mu.Lock()
	waits := c.waitsLocked()
	if waits {
		c.givenUp, c.stage = true, ended
	}
	c.mu.Unlock()
	if waits {
		c.in.report(neverResumed, c, "the operation is still pended when the instance ends, and fails")
	}
}

// end says that the operation is not with the filter any more, and does not come back.
func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stage = ended
}
