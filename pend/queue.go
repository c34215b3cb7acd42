// Package pend is a queue for filters that decide about operations later: Pre puts a call into it and returns what Put
// returns, workers of the filter take calls out and resume them.
//
//	i.queue, err = pend.New(site.Host, 1000, pend.Fail)       // in Setup
//	func (i *instance) Pre(ctx context.Context, call weir.Call) weir.PreStatus { return i.queue.Put(ctx, call) }
//	func (i *instance) TeardownStart(weir.TeardownReason)                     { i.queue.Disable(pend.Fail) }
//
// A call whose program gives up while it waits ends with the error of its ctx, and is never taken.
//
// # A queue that is full
//
// The queue is bounded, and the filter has to say what becomes of an operation that finds no room: it fails, which keeps what the
// filter is there for and may stop programs, or it passes, unseen. Either is counted, and weir filters shows it. What has passed
// is a gap of the filter in the ledger besides, one for all that passed within ten seconds. A filter with Scans, which looks for what
// it has missed, gives New a Host of its own, whose Missed calls the one that it has, and then begins a scan.
//
// A plane may have a queue of its own before this one, and may not leave the choice. That of fanotify's permission events lets
// pass what finds no room, as the kernel has it.
//
// # Locks
//
// Queue.mu is not held over a call of the manager. Queue.recording is, over Host.Missed, which does not block.
package pend

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
	host  weir.Host
	limit int
	full  Fate

	recording sync.Mutex // held while a gap is recorded, so that Disable returns after that

	mu       sync.Mutex
	unseen   uint64        // that have passed for want of room since then, and are not yet recorded
	since    time.Time     // of unseen
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

// New makes a queue for at most limit calls of the instance that has the host. full is the fate of those that find no room.
func New(host weir.Host, limit int, full Fate) (*Queue, error) {
	if host == nil || limit < 1 || full != Fail && full != Pass {
		return nil, &weir.Error{
			Op: "make queue", Kind: weir.KindRefused, Err: errors.New("it has no host or no room, or does not say what becomes of what finds none"),
			Hint: "give it the Host of its instance, a positive limit, and pend.Fail or pend.Pass",
		}
	}
	return &Queue{host: host, limit: limit, full: full}, nil
}

// Put keeps a call, and returns what Pre has to return. Pre does not use the call after that.
func (q *Queue) Put(ctx context.Context, call weir.Call) weir.PreStatus {
	q.mu.Lock()
	switch {
	case q.disabled != 0:
		fate := q.disabled
		q.mu.Unlock()
		return fate.decide(call, errDisabled)
	case q.waiting.Len() >= q.limit:
		return q.refuseLocked(call)
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

// gapTime is how long what passes for want of room is counted before it is recorded as one gap.
const gapTime = 10 * time.Second

// refuseLocked lets a call that finds no room have its fate, and unlocks.
func (q *Queue) refuseLocked(call weir.Call) weir.PreStatus {
	status := q.full.decide(call, errFull)
	if status == weir.PreComplete {
		q.mu.Unlock()
		q.host.NoRoom(1, 0)
		return status
	}
	if q.unseen++; q.unseen == 1 {
		q.since = time.Now()
		time.AfterFunc(gapTime, q.record)
	}
	q.mu.Unlock()
	q.host.NoRoom(0, 1)
	return status
}

// record tells the ledger what has passed, if it has not been told yet. Where the instance has ended by itself, nobody wants
// to know.
func (q *Queue) record() {
	q.recording.Lock()
	defer q.recording.Unlock()
	q.mu.Lock()
	unseen, since := q.unseen, q.since
	q.unseen = 0
	q.mu.Unlock()
	if unseen > 0 {
		_ = q.host.Missed(since, fmt.Sprintf("operations that passed because the filter had no room for them: %d", unseen))
	}
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
// taken are whoever's has them. What has passed for want of room is recorded when it has returned.
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
	q.record()
	for _, e := range rest {
		_ = e.call.ResumePre(fate.decide(e.call, errDisabled)) // as in cancel
	}
}
