package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

func returns(status weir.PreStatus) func(context.Context, weir.Call) weir.PreStatus {
	return func(context.Context, weir.Call) weir.PreStatus { return status }
}

var errNo = errors.New("no")

// Each test has instances high, middle and low; middle does something else.
func TestStatuses(t *testing.T) {
	for name, tt := range map[string]struct {
		pre       func(context.Context, weir.Call) weir.PreStatus
		want, err string
	}{
		"continue":    {nil, "pre high a, pre middle a, pre low a, volume a, post low a, post middle a, post high a", ""},
		"skip post":   {returns(weir.PreSkipPost), "pre high a, pre middle a, pre low a, volume a, post low a, post high a", ""},
		"synchronize": {returns(weir.PreSynchronize), "pre high a, pre middle a, pre low a, volume a, post low a, post middle a, post high a", ""},
		"complete": {func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Result().Err = errNo
			return weir.PreComplete
		}, "pre high a, pre middle a, post high a", "no"},
		"pend": {func(_ context.Context, c weir.Call) weir.PreStatus {
			go func() { _ = c.ResumePre(weir.PreContinue) }()
			return weir.PrePend
		}, "pre high a, pre middle a, pre low a, volume a, post low a, post middle a, post high a", ""},
		"resume before the return": {func(_ context.Context, c weir.Call) weir.PreStatus {
			if err := c.ResumePre(weir.PreSkipPost); err != nil {
				return 0
			}
			if err := c.ResumePre(weir.PreContinue); weir.KindOf(err) != weir.KindRefused {
				return 0
			}
			return weir.PrePend
		}, "pre high a, pre middle a, pre low a, volume a, post low a, post high a", ""},
		"pend and complete": {func(_ context.Context, c weir.Call) weir.PreStatus {
			go func() {
				c.Result().Err = errNo
				_ = c.ResumePre(weir.PreComplete)
			}()
			return weir.PrePend
		}, "pre high a, pre middle a, post high a", "no"},
		"no status":         {returns(0), "pre high a, pre middle a, post high a", "none is not a status of Pre"},
		"an unknown status": {returns(77), "pre high a, pre middle a, post high a", "unknown is not a status of Pre"},
		"panic":             {func(context.Context, weir.Call) weir.PreStatus { panic("oh") }, "pre high a, pre middle a, post high a", "panic in Pre: oh"},
		"resumed with nothing": {func(_ context.Context, c weir.Call) weir.PreStatus {
			if weir.KindOf(c.ResumePre(weir.PrePend)) != weir.KindRefused || weir.KindOf(c.ResumePost()) != weir.KindRefused {
				return 0
			}
			return weir.PreSkipPost
		}, "pre high a, pre middle a, pre low a, volume a, post low a, post high a", ""},
		"changed": {func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Parameters().Name = "b"
			c.MarkDirty()
			return weir.PreContinue
		}, "pre high a, pre middle a, pre low b, volume b, post low b, post middle a, post high a", ""},
		"changed and not marked": {func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Parameters().Name = "b"
			return weir.PreContinue
		}, "pre high a, pre middle a, pre low a, volume a, post low a, post middle a, post high a", ""},
		"changed what cannot be": {func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Parameters().Op = weir.OpDelete
			c.MarkDirty()
			return weir.PreContinue
		}, "pre high a, pre middle a, post high a", "Op or PID"},
		"retargeted to nowhere": {func(_ context.Context, c weir.Call) weir.PreStatus {
			c.Parameters().Volume = 7
			c.MarkDirty()
			return weir.PreContinue
		}, "pre high a, pre middle a, post high a", "no instance at altitude 200 on volume 7"},
	} {
		t.Run(name, func(t *testing.T) {
			r, tr := newRig(), new(trace)
			r.instance("100", create, create, tr.noting("low", nil))
			r.instance("300", create, create, tr.noting("high", nil))
			middle := r.instance("200", create, create, tr.noting("middle", tt.pre))
			for range 3 { // what was pooled is as good as new
				result := r.Do(t.Context(), creation(), tr.lower())
				tr.want(t, tt.want)
				if got := fmt.Sprint(result.Err); !strings.Contains(got, tt.err) || (tt.err == "") != (result.Err == nil) {
					t.Errorf("error %v, want %q", result.Err, tt.err)
				}
			}
			if s := middle.Stats(); s.Owed != s.Posts+s.Drained || s.Inside != 0 || s.Operations != 3 {
				t.Errorf("stats %+v", s.Flow)
			}
		})
	}
}

func TestPosts(t *testing.T) {
	for name, tt := range map[string]struct {
		post func(context.Context, weir.Call) weir.PostStatus
		err  string
	}{
		"changes the result": {func(_ context.Context, c weir.Call) weir.PostStatus {
			c.Result().Err = errNo
			return weir.PostFinished
		}, "no"},
		"pends": {func(_ context.Context, c weir.Call) weir.PostStatus {
			go func() {
				c.Result().Err = errNo
				_ = c.ResumePost()
			}()
			return weir.PostPend
		}, "no"},
		"is resumed before it returns": {func(_ context.Context, c weir.Call) weir.PostStatus {
			if c.ResumePost() != nil || weir.KindOf(c.ResumePost()) != weir.KindRefused {
				c.Result().Err = errNo
			}
			return weir.PostPend
		}, ""},
		"finds what was kept": {func(_ context.Context, c weir.Call) weir.PostStatus {
			if c.Kept() != "kept" {
				c.Result().Err = errNo
			}
			return weir.PostFinished
		}, ""},
		"panics":            {func(context.Context, weir.Call) weir.PostStatus { panic("oh") }, "panic in Post: oh"},
		"returns no status": {func(context.Context, weir.Call) weir.PostStatus { return 0 }, "not a status"},
	} {
		t.Run(name, func(t *testing.T) {
			r, above := newRig(), error(nil)
			r.instance("100", create, create, &script{post: tt.post, pre: func(_ context.Context, c weir.Call) weir.PreStatus {
				c.Keep("kept")
				return weir.PreContinue
			}})
			r.instance("200", 0, create, &script{post: func(_ context.Context, c weir.Call) weir.PostStatus {
				above = c.Result().Err
				return weir.PostFinished
			}})
			for range 3 {
				result := r.Do(t.Context(), creation(), new(trace).lower())
				if (tt.err == "") != (result.Err == nil) || tt.err != "" && !strings.Contains(result.Err.Error(), tt.err) {
					t.Errorf("error %v, want %q", result.Err, tt.err)
				}
				if !errors.Is(result.Err, above) {
					t.Errorf("the instance above has seen %v", above)
				}
			}
		})
	}
}

func TestOnlyWhatWasAskedForPasses(t *testing.T) {
	r, tr := newRig(), new(trace)
	r.instance("400", 0, create, tr.noting("after", nil))
	r.instance("300", create, 0, tr.noting("before", nil))
	r.instance("200", weir.OpDelete, weir.OpDelete, tr.noting("other", nil))
	r.instance("100", 0, 0, tr.noting("nothing", nil))
	r.Do(t.Context(), creation(), tr.lower())
	tr.want(t, "pre before a, volume a, post after a")
}

func TestOperationThatIsCancelledIsNotCarriedOut(t *testing.T) {
	r, tr := newRig(), new(trace)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.instance("100", create, create, tr.noting("f", func(ctx context.Context, c weir.Call) weir.PreStatus {
		go func() {
			<-ctx.Done()
			_ = c.ResumePre(weir.PreContinue)
		}()
		cancel(errNo)
		return weir.PrePend
	}))
	if result := r.Do(ctx, creation(), tr.lower()); !errors.Is(result.Err, errNo) {
		t.Errorf("error %v", result.Err)
	}
	tr.want(t, "pre f a, post f a")
}

// goroutine names the one that runs.
func goroutine() string {
	b := make([]byte, 64)
	fields := strings.Fields(string(b[:runtime.Stack(b, false)]))
	return fields[1]
}

func TestSynchronizedPostIsOnTheGoroutineOfPre(t *testing.T) {
	r := newRig()
	var pre string
	r.instance("200", create, create, &script{
		pre: func(context.Context, weir.Call) weir.PreStatus { pre = goroutine(); return weir.PreSynchronize },
		post: func(context.Context, weir.Call) weir.PostStatus {
			if post := goroutine(); post != pre {
				t.Errorf("Pre ran on goroutine %s, Post on %s", pre, post)
			}
			return weir.PostFinished
		},
	})
	pend := func(_ context.Context, c weir.Call) weir.PreStatus {
		go func() { _ = c.ResumePre(weir.PreContinue) }()
		return weir.PrePend
	}
	r.instance("100", create, create, &script{pre: pend, post: func(_ context.Context, c weir.Call) weir.PostStatus {
		go func() { _ = c.ResumePost() }()
		return weir.PostPend
	}})
	r.Do(t.Context(), creation(), new(trace).lower())
}

func TestOperationGoesOnOnAnotherVolume(t *testing.T) {
	r, other, tr := newRig(), newRig(), new(trace)
	toOther := func(_ context.Context, c weir.Call) weir.PreStatus {
		c.Parameters().Volume = 2
		c.MarkDirty()
		return weir.PreContinue
	}
	r.instance("300", create, create, tr.noting("high", nil))
	r.instance("200", create, create, tr.noting("here", toOther))
	r.instance("100", create, create, tr.noting("below", nil))
	other.instance("300", create, create, tr.noting("high there", nil))
	r.twins[2] = other.instance("200", create, create, tr.noting("there", nil))
	other.instance("100", create, create, tr.noting("below there", nil))
	held := &fakeInterception{Lower: lower(func(_ context.Context, p *weir.Parameters) weir.Result {
		tr.add("volume %d", p.Volume)
		return weir.Result{}
	})}
	if result := r.Do(t.Context(), creation(), tr.lower()); result.Err == nil {
		t.Error("it went on where nothing carries out operations")
	}
	tr.want(t, "pre high a, pre here a, post high a")
	other.SetInterception(held)
	if result := r.Do(t.Context(), creation(), tr.lower()); result.Err != nil {
		t.Error(result.Err)
	}
	tr.want(t, "pre high a, pre here a, pre below there a, volume 2, post below there a, post here a, post high a")
}

// fakeInterception is what an instance issues operations to. Nothing has gone but what gone says.
type fakeInterception struct {
	weir.Lower
	gone func(weir.ContextKey) bool
}

func (*fakeInterception) Detach() error                  { return nil }
func (f *fakeInterception) Has(key weir.ContextKey) bool { return f.gone == nil || !f.gone(key) }

func TestGeneratedOperationsAreSeenBelow(t *testing.T) {
	r, tr := newRig(), new(trace)
	var in *Instance
	r.instance("300", create, create, tr.noting("high", nil))
	in = r.instance("200", create, create, tr.noting("issuer", func(ctx context.Context, c weir.Call) weir.PreStatus {
		own := *c.Parameters()
		own.Name, own.Volume = "own", 99
		if result, err := in.Host().Issue(ctx, &own); err != nil || result.N != 1 {
			t.Errorf("issued: %+v, %v", result, err)
		}
		return weir.PreContinue
	}))
	r.instance("100", create, create, tr.noting("low", nil))
	if _, err := in.Host().Issue(t.Context(), creation()); weir.KindOf(err) != weir.KindUnsupported {
		t.Errorf("issued to nothing: %v", err)
	}
	r.SetInterception(&fakeInterception{Lower: tr.lower()})
	r.Do(t.Context(), creation(), tr.lower())
	tr.want(t, "pre high a, pre issuer a, pre low own, volume own, post low own, pre low a, volume a, post low a, post issuer a, post high a")
	r.end(in, patient())
	if _, err := in.Host().Issue(t.Context(), creation()); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("issued after the end: %v", err)
	}
}

// A filter that does an operation of its own through the front door meets itself, and no lock.
func TestRecursion(t *testing.T) {
	r, tr, depth := newRig(), new(trace), 0
	r.instance("100", create, create, tr.noting("f", func(ctx context.Context, _ weir.Call) weir.PreStatus {
		if depth++; depth < 3 {
			r.Do(ctx, creation(), tr.lower())
		}
		return weir.PreContinue
	}))
	r.Do(t.Context(), creation(), tr.lower())
	tr.want(t, "pre f a, pre f a, pre f a, volume a, post f a, volume a, post f a, volume a, post f a")
}

func TestFailuresAreToldSeldom(t *testing.T) {
	r := newRig()
	in := r.instance("100", create, create, &script{pre: returns(0)})
	for range 1000 {
		r.Do(t.Context(), creation(), new(trace).lower())
	}
	if lines := strings.Count(r.logger.String(), "an operation failed in a filter"); lines != 10 || in.Stats().Failures != 1000 {
		t.Errorf("%d lines for %d failures", lines, in.Stats().Failures)
	}
}

// The stack of a panic is for the log, and not for the program, or whoever detaches.
func TestStackOfAPanicIsLogged(t *testing.T) {
	for _, where := range []string{"Pre", "Post", "QueryTeardown"} {
		r := newRig()
		at := func(here string) {
			if here == where {
				panic("oh")
			}
		}
		in := r.instance("100", create, create, &asked{script{
			pre:  func(context.Context, weir.Call) weir.PreStatus { at("Pre"); return weir.PreContinue },
			post: func(context.Context, weir.Call) weir.PostStatus { at("Post"); return weir.PostFinished },
		}, func() error { at("QueryTeardown"); return nil }})
		err := errors.Join(r.Do(t.Context(), creation(), new(trace).lower()).Err, in.Query(t.Context()))
		if err == nil || !strings.HasSuffix(err.Error(), "panic in "+where+": oh") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
		if s := r.logger.String(); strings.Count(s, `stack="goroutine`) != 1 || !strings.Contains(s, where) {
			t.Errorf("logged %s", s)
		}
	}
}

type asked struct {
	script
	query func() error
}

func (a *asked) QueryTeardown(context.Context) error { return a.query() }
