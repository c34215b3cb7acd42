package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
)

// pre calls Pre, waits while the operation is pended, and returns one of the statuses PreContinue, PreSkipPost,
// PreSynchronize and PreComplete.
func (c *call) pre(ctx context.Context, timed bool) weir.PreStatus {
	began := clock(timed)
	status, err := c.callPre(ctx)
	c.measure(preCallback, began)
	if status == weir.PrePend {
		status = c.hold(inPre, heldPre, resumedPre)
	}
	switch {
	case err != nil:
	case status == forced:
		err = errors.New("the instance has ended before it let the operation go on")
	case status == 0 || status > weir.PreComplete:
		err = fmt.Errorf("%s is not a status of Pre", status)
	default:
		return status
	}
	return c.fail(err)
}

// callPre, like callPost, turns a panic of the filter into an error.
func (c *call) callPre(ctx context.Context) (status weir.PreStatus, err error) {
	defer func() {
		if p := recover(); p != nil {
			status, err = 0, newPanicError("Pre", p)
		}
	}()
	return c.instance.interceptor.Pre(ctx, c), nil
}

// post calls Post, and waits while it is pended. It returns false if the instance has ended before it let the operation go
// on: then the result is that of before.
func (c *call) post(ctx context.Context, timed bool) bool {
	began := clock(timed)
	status, err := c.callPost(ctx)
	c.measure(postCallback, began)
	switch {
	case err != nil:
	case status == weir.PostFinished:
		return true
	case status == weir.PostPend && !c.drain:
		return c.hold(inPost, heldPost, resumedPost) != forced
	default:
		err = fmt.Errorf("%s is not a status of this Post", status)
	}
	c.fail(err)
	return true
}

func (c *call) callPost(ctx context.Context) (status weir.PostStatus, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError("Post", p)
		}
	}()
	return c.instance.interceptor.Post(ctx, c), nil
}

// drainPost calls the Post of a copy.
func (c *call) drainPost(ctx context.Context) {
	c.post(ctx, false)
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != ended {
		l.drains--
		c.instance.noteIdleLocked(l)
	}
}

// fail makes the operation fail: the filter has not done what it should. That is logged the first time, the second, the
// fourth, and so on.
func (c *call) fail(err error) weir.PreStatus {
	c.failed = true
	in := c.instance
	if n := in.failures.Add(1); n&(n-1) == 0 {
		about := []any{"instance", in.label, "operation", c.above.Op.String(), "name", c.above.Name, "failures", n, "error", err}
		if p, ok := errors.AsType[*panicError](err); ok {
			about = append(about, "stack", string(p.stack))
		}
		in.logger.Error("an operation failed in a filter", about...)
	}
	c.result = weir.Result{Err: &weir.Error{Op: "pass " + in.label, Err: err}}
	return weir.PreComplete
}

func (c *call) measure(which callback, began time.Time) {
	if began.IsZero() {
		return
	}
	took := time.Since(began)
	if s := &c.instance.slow; s.among(took) {
		s.note(Slow{Callback: which.String(), Operation: c.above.Op, Count: 1, Entry: c.above.Name, Took: took, Began: began})
	}
	c.lane.mu.Lock()
	defer c.lane.mu.Unlock()
	c.lane.times[which].add(took)
}
