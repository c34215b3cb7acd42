package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
)

func TestOperationsAreDrained(t *testing.T) {
	const operations = 10_000
	r := newRig()
	inside := make(chan struct{}, operations)
	goOn := make(chan struct{})
	var drained, posts atomic.Int64
	in := r.instance("100", create, create, &script{
		pre: func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Keep(c.Parameters().Offset)
			return weir.PreContinue
		},
		post: func(_ context.Context, c weir.Call) weir.PostStatus {
			switch {
			case !c.Draining():
				posts.Add(1)
			case c.Kept() != c.Parameters().Offset || c.Parameters().Data != nil || weir.KindOf(c.Result().Err) != weir.KindAbsent:
				t.Error("a draining Post is shown something else")
			default:
				drained.Add(1)
				*c.Result() = weir.Result{Err: errNo} // changes nothing
			}
			return weir.PostFinished
		},
	})
	var wg sync.WaitGroup
	for i := range operations {
		wg.Go(func() {
			p := creation()
			p.Offset, p.Data = int64(i), []byte("data")
			if result := r.Do(context.Background(), p, lower(func(context.Context, *weir.Parameters) weir.Result {
				inside <- struct{}{}
				<-goOn
				return weir.Result{N: 4}
			})); result.Err != nil || result.N != 4 {
				t.Errorf("result %+v", result)
			}
		})
	}
	for range operations {
		<-inside
	}
	r.end(in, patient())
	if s := in.Stats(); s.Drained != operations || s.Owed != operations || s.Inside != 0 || drained.Load() != operations {
		t.Errorf("stats %+v, %d drained", s.Flow, drained.Load())
	}
	close(goOn)
	wg.Wait()
	if posts.Load() != 0 {
		t.Errorf("%d operations came back after the end", posts.Load())
	}
}

func TestPendedOperationsAreCompletedByTeardownStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, tr, below := newRig(), new(trace), make(chan struct{})
		var call weir.Call
		callback := tr.noting("f", func(_ context.Context, c weir.Call) weir.PreStatus { call = c; return weir.PrePend })
		callback.start = func() {
			tr.add("start")
			if err := call.ResumePre(weir.PreContinue); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		callback.teardown = func(context.Context) { tr.add("teardown") }
		in := r.instance("100", create, create, callback)
		ended := make(chan weir.Result)
		go func() {
			ended <- r.Do(context.Background(), creation(), lower(func(context.Context, *weir.Parameters) weir.Result {
				<-below
				return weir.Result{}
			}))
		}()
		synctest.Wait()
		if kept := fmt.Sprint(in.Keepers()); kept != "[pended by Pre: create of a]" {
			t.Errorf("kept by %s", kept)
		}
		r.end(in, patient())
		close(below)
		if result := <-ended; result.Err != nil {
			t.Error(result.Err)
		}
		tr.want(t, "pre f a, start, drain f a, teardown")
	})
}

func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		in := r.instance("100", 0, 0, new(recording))
		release, err := in.Host().Hold("copy")
		if err != nil {
			t.Fatal(err)
		}
		second, _ := in.Host().Hold("copy")
		ended := make(chan struct{})
		go func() { r.end(in, patient()); close(ended) }()
		synctest.Wait()
		if got := fmt.Sprint(in.Keepers()); got != "[held by copy (2 times)]" {
			t.Errorf("kept by %s", got)
		}
		if _, err := in.Host().Hold("late"); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("held while it ends: %v", err)
		}
		release()
		release() // counts once
		synctest.Wait()
		select {
		case <-ended:
			t.Error("ended while it was held")
		default:
		}
		second()
		<-ended
		if kept := in.Keepers(); len(kept) != 0 {
			t.Errorf("kept by %s", kept)
		}
	})
}

func TestPanicsInTeardownAreLogged(t *testing.T) {
	r := newRig()
	in := r.instance("100", 0, 0, &script{start: func() { panic("start") }, teardown: func(context.Context) { panic("end") }})
	r.end(in, patient())
	if s := r.logger.String(); strings.Count(s, "panic in a filter") != 2 {
		t.Errorf("logged %s", s)
	}
}

type veto struct {
	recording
	query func() error
}

func (v *veto) QueryTeardown(context.Context) error { return v.query() }

func TestQuery(t *testing.T) {
	r := newRig()
	no := errors.New("no")
	for name, tt := range map[string]struct {
		callback weir.Instance
		want     string
	}{
		"not asked": {new(recording), "<nil>"},
		"consents":  {&veto{query: func() error { return nil }}, "<nil>"},
		"refuses":   {&veto{query: func() error { return no }}, "no"},
		"panics":    {&veto{query: func() error { panic("oh") }}, "panic in QueryTeardown: oh"},
	} {
		in := r.instance("100", 0, 0, tt.callback)
		if err := in.Query(t.Context()); !strings.HasPrefix(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		r.end(in, patient())
	}
}

// An operation that was on its way when the instance below was torn down passes it by.
func TestOperationPassesByWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, tr, goOn := newRig(), new(trace), make(chan struct{})
		r.instance("200", create, create, tr.noting("high", func(context.Context, weir.Call) weir.PreStatus {
			<-goOn
			return weir.PreContinue
		}))
		low := r.instance("100", create, create, tr.noting("low", nil))
		done := make(chan weir.Result)
		go func() { done <- r.Do(context.Background(), creation(), tr.lower()) }()
		synctest.Wait()
		r.end(low, patient())
		close(goOn)
		if result := <-done; result.Err != nil {
			t.Error(result.Err)
		}
		tr.want(t, "pre high a, volume a, post high a")
	})
}

// A Pre that runs while the others are drained has its Post drained as soon as it returns, whatever the volume does.
func TestPreThatReturnsLateIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, tr, goOn, below := newRig(), new(trace), make(chan struct{}), make(chan struct{})
		in := r.instance("100", create, create, tr.noting("f", func(context.Context, weir.Call) weir.PreStatus {
			<-goOn
			return weir.PreContinue
		}))
		done := make(chan weir.Result)
		go func() {
			done <- r.Do(context.Background(), creation(), lower(func(context.Context, *weir.Parameters) weir.Result {
				<-below
				return weir.Result{}
			}))
		}()
		synctest.Wait()
		ended := make(chan struct{})
		go func() { defer close(ended); r.end(in, patient()) }()
		synctest.Wait()
		close(goOn)
		<-ended
		tr.want(t, "pre f a, drain f a")
		close(below)
		<-done
		tr.want(t, "")
	})
}
