// Package pend is a queue for filters that decide about operations later: Pre puts a call into it and returns what Put
// returns, workers of the filter take calls out and resume them.
//
//	func (i *instance) Pre(ctx context.Context, call weir.Call) weir.PreStatus { return i.queue.Put(ctx, call) }
//	func (i *instance) TeardownStart(weir.TeardownReason)                     { i.queue.Disable(pend.Fail) }
//
// A call whose program gives up while it waits ends with the error of its ctx, and is never taken. The queue is bounded,
// and the filter has to say what becomes of an operation that finds it full.
//
// The lock of a queue is not held over a call of the manager.
package pend

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/weirfs/weir"
)

// Fate is what becomes of an operation that nobody decides about. It has no default.
type Fate uint8

const (
	// Fail ends the operation with an error, unless it is a close, which passes.
	Fail Fate = iota + 1
	// Pass lets the operation go on, without Post.
	Pass
)

// Queue keeps calls that Pre has pended. It is safe for concurrent use.
type Queue struct {
	limit int
	full  Fate

	mu       sync.Mutex
	waiting  list.List     // of *entry
	news     chan struct{} // closed when something comes; nil if nobody waits for it
	disabled Fate          // 0 as long as calls are taken
}

// entry is one call that waits.
type entry struct {
	call   weir.Call
	forget func() bool // of the watch on its ctx
	at     *list.Element
}

// New makes a queue for at most limit calls. full is the fate of those that find no room.
func New(limit int, full Fate) (*Queue, error) {
	if limit < 1 || full != Fail && full != Pass {
		return nil, &weir.Error{
			Op: "make queue", Kind: weir.KindRefused, Err: errors.New("it has no room, or does not say what becomes of what finds none"),
			Hint: "give it a positive limit, and pend.Fail or pend.Pass",
		}
	}
	return &Queue{limit: limit, full: full}, nil
}

// Put keeps a call, and returns what Pre has to return. Pre does not use the call after that.
func (q *Queue) Put(ctx context.Context, call weir.Call) weir.PreStatus {
	q.mu.Lock()
	fate, why := q.disabled, errDisabled
	if fate == 0 && q.waiting.Len() >= q.limit {
		fate, why = q.full, errFull
	}
	if fate != 0 {
		q.mu.Unlock()
		return fate.decide(call, why)
	}
	defer q.mu.Unlock()
	e := &entry{call: call}
	e.at = q.waiting.PushBack(e)
	e.forget = context.AfterFunc(ctx, func() { q.cancel(e, context.Cause(ctx)) })
	if q.news != nil {
		close(q.news)
		q.news = nil
	}
	return weir.PrePend
}

var (
	errFull     = errors.New("more operations wait for the filter than it has room for")
	errDisabled = errors.New("the filter ends")
)

// decide lets a call have its fate, and returns the status for it.
func (f Fate) decide(call weir.Call, why error) weir.PreStatus {
	if f == Pass {
		return weir.PreSkipPost
	}
	return fail(call, &weir.Error{Op: "wait for filter", Err: why})
}

// fail ends a call with an error. A close passes: the program's descriptor is gone whatever it is told.
func fail(call weir.Call, err error) weir.PreStatus {
	if call.Parameters().Op == weir.OpClose {
		return weir.PreSkipPost
	}
	call.Result().Err = err
	return weir.PreComplete
}

// cancel ends a call whose ctx has ended, if it still waits.
func (q *Queue) cancel(e *entry, cause error) {
	q.mu.Lock()
	waits := e.at != nil
	if waits {
		q.removeLocked(e)
	}
	q.mu.Unlock()
	if waits {
		_ = e.call.ResumePre(fail(e.call, cause)) // refused if the manager has given it up: then it has failed
	}
}

func (q *Queue) removeLocked(e *entry) {
	q.waiting.Remove(e.at)
	e.at = nil
}

// Take waits for a call, and gives the oldest to the caller, who resumes it. The error is of KindAbsent if the queue has
// been disabled, and that of ctx if that has ended.
func (q *Queue) Take(ctx context.Context) (weir.Call, error) {
	for {
		call, news, err := q.next()
		if call != nil || err != nil {
			return call, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// next returns the oldest call, or what to wait for.
func (q *Queue) next() (weir.Call, <-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first := q.waiting.Front(); first != nil {
		e := first.Value.(*entry)
		q.removeLocked(e)
		e.forget()
		return e.call, nil, nil
	}
	if q.disabled != 0 {
		return nil, nil, &weir.Error{Op: "take operation", Kind: weir.KindAbsent, Err: errDisabled}
	}
	if q.news == nil {
		q.news = make(chan struct{})
	}
	return nil, q.news, nil
}

// Len returns how many calls wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.Len()
}

// Disable lets no call in any more: fate is what becomes of those that come, and of those that wait. Calls that have been
// taken are whoever's has them.
func (q *Queue) Disable(fate Fate) {
	q.mu.Lock()
	q.disabled = fate
	var rest []*entry
	for q.waiting.Len() > 0 {
		e := q.waiting.Front().Value.(*entry)
		q.removeLocked(e)
		e.forget()
		rest = append(rest, e)
	}
	if q.news != nil {
		close(q.news)
		q.news = nil
	}
	q.mu.Unlock()
	for _, e := range rest {
		_ = e.call.ResumePre(fate.decide(e.call, errDisabled)) // as in cancel
	}
}
