package pend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
)

// call is one operation that notes how it was resumed.
type call struct {
	weir.Call
	result weir.Result
	params weir.Parameters

	mu      sync.Mutex
	resumed []weir.PreStatus
}

func (c *call) Result() *weir.Result         { return &c.result }
func (c *call) Parameters() *weir.Parameters { return &c.params }

func (c *call) ResumePre(status weir.PreStatus) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resumed = append(c.resumed, status)
	return nil
}

func (c *call) want(t *testing.T, err bool, resumed ...weir.PreStatus) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	same := len(c.resumed) == len(resumed)
	for i := range resumed {
		same = same && c.resumed[i] == resumed[i]
	}
	if !same || (c.result.Err != nil) != err {
		t.Errorf("resumed with %v, error %v; want %v, and an error: %v", c.resumed, c.result.Err, resumed, err)
	}
}

func newQueue(t *testing.T, limit int, full Fate) *Queue {
	t.Helper()
	q, _ := hosted(t, limit, full)
	return q
}

// host is an instance's, which notes what a queue tells it.
type host struct {
	weir.Host

	mu             sync.Mutex
	failed, passed uint64
	missed         []string
}

func (h *host) NoRoom(failed, passed uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed += failed
	h.passed += passed
}

func (h *host) Missed(since time.Time, cause string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = append(h.missed, fmt.Sprint(time.Since(since), " ", cause))
	return nil
}

func (h *host) want(t *testing.T, failed, passed uint64, missed ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != failed || h.passed != passed || !slices.Equal(h.missed, missed) {
		t.Errorf("%d failed, %d passed, missed %q; want %d, %d, %q", h.failed, h.passed, h.missed, failed, passed, missed)
	}
}

func hosted(t *testing.T, limit int, full Fate) (*Queue, *host) {
	t.Helper()
	h := new(host)
	q, err := New(h, limit, full)
	if err != nil {
		t.Fatal(err)
	}
	return q, h
}

// TestWhatFindsNoRoomIsTold counts each, and makes one gap of what passes within a while.
func TestWhatFindsNoRoomIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, h := hosted(t, 1, Fail)
		for range 3 {
			q.Put(t.Context(), new(call))
		}
		h.want(t, 2, 0)
		q.Put(t.Context(), &call{params: weir.Parameters{Op: weir.OpClose}})
		time.Sleep(gapTime)
		synctest.Wait()
		const one = "operations that passed because the filter had no room for them: "
		h.want(t, 2, 1, "10s "+one+"1")
		q.Disable(Pass)
		h.want(t, 2, 1, "10s "+one+"1")

		q, h = hosted(t, 1, Pass)
		for range 5 {
			q.Put(t.Context(), new(call))
			time.Sleep(2 * time.Second)
		}
		time.Sleep(3 * time.Second)
		h.want(t, 0, 4, "10s "+one+"4")
		for range 2 {
			q.Put(t.Context(), new(call))
		}
		time.Sleep(time.Second)
		q.Disable(Pass)
		h.want(t, 0, 6, "10s "+one+"4", "1s "+one+"2")
		q.Put(t.Context(), new(call)) // Whatever comes then is not for want of room.
		time.Sleep(time.Minute)
		h.want(t, 0, 6, "10s "+one+"4", "1s "+one+"2")
	})
}

// Whatever becomes of others, a close passes.
func TestCloseDoesNotFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := func() *call { return &call{params: weir.Parameters{Op: weir.OpClose}} }
		q, cancelled, waits, none := newQueue(t, 2, Fail), end(), end(), end()
		ctx, cancel := context.WithCancel(t.Context())
		q.Put(ctx, cancelled)
		q.Put(t.Context(), waits)
		if status := q.Put(t.Context(), none); status != weir.PreSkipPost {
			t.Errorf("a close that finds no room is to %s", status)
		}
		cancel()
		synctest.Wait()
		cancelled.want(t, false, weir.PreSkipPost)
		q.Disable(Fail)
		waits.want(t, false, weir.PreSkipPost)
		none.want(t, false)
	})
}

func TestCallsAreTakenInOrder(t *testing.T) {
	q, a, b := newQueue(t, 2, Fail), new(call), new(call)
	if q.Put(t.Context(), a) != weir.PrePend || q.Put(t.Context(), b) != weir.PrePend || q.Len() != 2 {
		t.Error("not kept")
	}
	for _, want := range []*call{a, b} {
		if got, err := q.Take(t.Context()); err != nil || got != weir.Call(want) {
			t.Errorf("took %v, %v", got, err)
		}
	}
	a.want(t, false)
}

func TestFullQueue(t *testing.T) {
	for fate, want := range map[Fate]weir.PreStatus{Fail: weir.PreComplete, Pass: weir.PreSkipPost} {
		q, late := newQueue(t, 1, fate), new(call)
		q.Put(t.Context(), new(call))
		if got := q.Put(t.Context(), late); got != want {
			t.Errorf("fate %d: status %s", fate, got)
		}
		late.want(t, fate == Fail)
	}
	for _, bad := range []struct {
		host  weir.Host
		limit int
		full  Fate
	}{{new(host), 0, Fail}, {new(host), 1, 0}, {new(host), 1, 3}, {nil, 1, Fail}} {
		if _, err := New(bad.host, bad.limit, bad.full); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%+v: error %v", bad, err)
		}
	}
}

func TestWhoGivesUpIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, a, b, taken := newQueue(t, 3, Fail), new(call), new(call), new(call)
		ctx, cancel := context.WithCancelCause(t.Context())
		q.Put(ctx, taken)
		if _, err := q.Take(t.Context()); err != nil {
			t.Error(err)
		}
		q.Put(ctx, a)
		q.Put(t.Context(), b)
		gone := errors.New("gone")
		cancel(gone)
		synctest.Wait()
		a.want(t, true, weir.PreComplete)
		if !errors.Is(a.result.Err, gone) {
			t.Errorf("error %v", a.result.Err)
		}
		taken.want(t, false)
		if got, err := q.Take(t.Context()); err != nil || got != weir.Call(b) {
			t.Errorf("took %v, %v", got, err)
		}
		late := new(call) // whose program is gone already
		q.Put(ctx, late)
		synctest.Wait()
		late.want(t, true, weir.PreComplete)
	})
}

func TestDisabledQueue(t *testing.T) {
	for fate, want := range map[Fate]weir.PreStatus{Fail: weir.PreComplete, Pass: weir.PreSkipPost} {
		synctest.Test(t, func(t *testing.T) {
			q, a, late := newQueue(t, 3, Fail), new(call), new(call)
			ended := make(chan error)
			go func() {
				_, err := q.Take(t.Context())
				if err == nil {
					_, err = q.Take(t.Context())
				}
				ended <- err
			}()
			synctest.Wait()
			q.Put(t.Context(), new(call))
			synctest.Wait()
			q.Disable(fate)
			if err := <-ended; weir.KindOf(err) != weir.KindAbsent {
				t.Errorf("take: %v", err)
			}
			if got := q.Put(t.Context(), late); got != want {
				t.Errorf("status %s", got)
			}
			late.want(t, fate == Fail)
			other := newQueue(t, 3, Pass)
			other.Put(t.Context(), a)
			other.Disable(fate)
			a.want(t, fate == Fail, want)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := newQueue(t, 1, Fail).Take(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("take with an ended ctx: %v", err)
			}
		})
	}
}

// Whether a call is taken, cancelled or met by Disable: it is resumed once.
func TestEveryCallIsResumedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1000, Fail)
		for range 3 {
			go func() {
				for c, err := q.Take(t.Context()); err == nil; c, err = q.Take(t.Context()) {
					_ = c.ResumePre(weir.PreContinue)
				}
			}()
		}
		calls, statuses := make([]call, 1000), make([]weir.PreStatus, 1000)
		for i := range calls {
			ctx, cancel := context.WithCancel(t.Context())
			statuses[i] = q.Put(ctx, &calls[i])
			if i%2 == 0 {
				go cancel()
			} else {
				defer cancel()
			}
			if i == 900 {
				go q.Disable(Pass)
			}
		}
		synctest.Wait()
		for i := range calls {
			if n := len(calls[i].resumed); (statuses[i] == weir.PrePend) != (n == 1) {
				t.Errorf("call %d with status %s was resumed %d times", i, statuses[i], n)
			}
		}
	})
}
