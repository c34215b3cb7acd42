package dispatch

import (
	"errors"
	"fmt"

	"github.com/weirfs/weir"
)

// position is where a call is.
type position uint8

const (
	outside    position = iota // not, or no more, in the instance
	inPre                      // Pre runs
	heldPre                    // Pre has pended it
	resumedPre                 // it was resumed before Pre has returned
	owed                       // it is below; Post is to come
	inPost
	heldPost
	resumedPost
)

// call is one operation in one instance. What the lane's lock does not guard belongs to the goroutine that carries the
// operation, or is in the callback.
type call struct {
	instance *Instance
	lane     *lane
	above    *weir.Parameters // as those above have left them
	own      weir.Parameters  // what the instance is shown
	result   weir.Result      // likewise
	kept     any
	dirty    bool
	drain    bool // this is a copy, for a draining Post
	failed   bool // the filter has not done what it should, and may do anything with the call

	// The lane's lock guards these.
	index    int
	position position
	verdict  weir.PreStatus // of ResumePre
	wake     chan struct{}  // closed when a call that is held goes on
	pended   bool           // somebody else may have it: it is used for no other operation
}

var _ weir.Call = (*call)(nil)

// forced is the verdict on a call that was pended longer than the teardown waits, or whose callback ran so long.
const forced = weir.PreStatus(0xff)

// Parameters implements weir.Call.
func (c *call) Parameters() *weir.Parameters { return &c.own }

// MarkDirty implements weir.Call.
func (c *call) MarkDirty() { c.dirty = true }

// Result implements weir.Call.
func (c *call) Result() *weir.Result { return &c.result }

// Draining implements weir.Call.
func (c *call) Draining() bool { return c.drain }

// Keep implements weir.Call.
func (c *call) Keep(value any) { c.kept = value }

// Kept implements weir.Call.
func (c *call) Kept() any { return c.kept }

// ResumePre implements weir.Call.
func (c *call) ResumePre(status weir.PreStatus) error {
	switch status {
	case weir.PreContinue, weir.PreSkipPost, weir.PreSynchronize, weir.PreComplete:
		return c.resume(inPre, heldPre, resumedPre, status)
	}
	return refuse(fmt.Errorf("%s is not a status that an operation is resumed with", status))
}

// ResumePost implements weir.Call.
func (c *call) ResumePost() error { return c.resume(inPost, heldPost, resumedPost, 0) }

// resume lets a held call go on, or notes that one whose callback has not yet returned is not to be held.
func (c *call) resume(running, held, resumed position, verdict weir.PreStatus) error {
	c.lane.mu.Lock()
	defer c.lane.mu.Unlock()
	if c.drain || c.position != running && c.position != held {
		return refuse(errors.New("it is not pended, or has been resumed"))
	}
	c.verdict, c.pended = verdict, true
	if c.position == running {
		c.position = resumed
		return nil
	}
	c.position = running
	close(c.wake)
	return nil
}

func refuse(err error) error {
	return &weir.Error{Op: "resume operation", Kind: weir.KindRefused, Err: err}
}

// hold waits until a call that its callback has pended is resumed, and returns the verdict.
func (c *call) hold(running, held, resumed position) weir.PreStatus {
	wake := c.pend(running, held, resumed)
	if wake != nil {
		<-wake
	}
	return c.verdict
}

// pend returns what to wait for, or nil if the call has been resumed, or given up, already.
func (c *call) pend(running, held, resumed position) <-chan struct{} {
	c.lane.mu.Lock()
	defer c.lane.mu.Unlock()
	switch {
	case c.position == resumed:
		c.position = running
		return nil
	case c.position == outside:
		return nil
	case c.lane.late:
		c.giveUpLocked()
		c.instance.noteIdleLocked(c.lane)
		return nil
	}
	c.position, c.pended, c.wake = held, true, make(chan struct{})
	return c.wake
}

// settle says what becomes of a call whose Pre has ended: it is to have its Post, or it leaves. It returns true if it is to
// have its Post at once.
func (c *call) settle(wanted bool) (drain bool) {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.position == outside:
		return false
	case !wanted:
		c.leaveLocked()
		return false
	}
	l.flow.Owed++
	c.position = owed
	if l.phase == draining {
		c.drainLocked()
		return true
	}
	return false
}

// take gives a call to the goroutine that is to call its Post, unless it has been drained.
func (c *call) take() bool {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.position != owed {
		return false
	}
	l.flow.Posts++
	c.position = inPost
	return true
}

// leave lets a call out whose Post has ended.
func (c *call) leave() {
	c.lane.mu.Lock()
	defer c.lane.mu.Unlock()
	if c.position != outside {
		c.leaveLocked()
	}
}

func (c *call) leaveLocked() {
	c.lane.removeLocked(c)
	c.instance.noteIdleLocked(c.lane)
}

// giveUpLocked lets a call out that is not waited for any more. If it is pended, the operation fails.
func (c *call) giveUpLocked() {
	held := c.heldLocked()
	c.lane.removeLocked(c)
	c.verdict, c.pended = forced, true
	if held {
		close(c.wake)
	}
}

func (c *call) heldLocked() bool { return c.position == heldPre || c.position == heldPost }

// whereLocked names the operation, and where it is.
func (c *call) whereLocked() string {
	return fmt.Sprintf("%s: %s of %s", c.position, c.above.Op, weir.QuotePath(c.above.Name))
}

// drainLocked lets an owed call out; its copy is to have a draining Post.
func (c *call) drainLocked() {
	c.lane.removeLocked(c)
	c.lane.flow.Drained++
	c.lane.drains++
}

// copy returns what a draining Post is shown. What the call refers to does not change while it is owed.
func (c *call) copy() *call {
	d := &call{instance: c.instance, lane: c.lane, own: *c.above, kept: c.kept, drain: true}
	d.own.Data = nil
	d.above = &d.own
	d.result = weir.Result{Err: &weir.Error{
		Op: "drain operation", Kind: weir.KindAbsent, Err: errors.New("the instance ends before the operation does"),
	}}
	return d
}
