package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
)

// impatient waits 2 s for what is pended, 3 s for Teardown and for holds, and 4 s for all.
func impatient(t *testing.T) Patience {
	hurry, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	t.Cleanup(cancel)
	all := make(chan struct{})
	time.AfterFunc(4*time.Second, func() { close(all) })
	return Patience{2 * time.Second, 3 * time.Second, hurry, all}
}

func TestOperationsThatAreKeptPendedFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, tr := newRig(), new(trace)
		var call weir.Call
		in := r.instance("100", create, create, tr.noting("f", func(_ context.Context, c weir.Call) weir.PreStatus { call = c; return weir.PrePend }))
		ended := make(chan weir.Result)
		go func() { ended <- r.Do(context.Background(), creation(), tr.lower()) }()
		synctest.Wait()
		r.end(in, impatient(t))
		if result := <-ended; result.Err == nil || !strings.Contains(result.Err.Error(), "before it let the operation go on") {
			t.Errorf("error %v", result.Err)
		}
		if err := call.ResumePre(weir.PreContinue); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("a late resume: %v", err)
		}
		tr.want(t, "pre f a")
		if s := r.logger.String(); !strings.Contains(s, "an instance ends with operations inside") || !strings.Contains(s, "pended by Pre: create of") {
			t.Errorf("logged %s", s)
		}
		time.Sleep(time.Minute)
	})
}

// What a filter does not return from is waited for until all patience is over, and keeps nothing else from ending.
func TestCallbacksThatHangAreGivenUp(t *testing.T) {
	for _, where := range []string{"Pre", "Post", "draining Post", "TeardownStart", "Teardown", "Completed", "hold", "held Post"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, hang, below := newRig(), make(chan struct{}), make(chan struct{})
				var call weir.Call
				callback := &script{
					pre: func(context.Context, weir.Call) weir.PreStatus {
						if where == "Pre" {
							<-hang
						}
						return weir.PreContinue
					},
					post: func(_ context.Context, c weir.Call) weir.PostStatus {
						call = c
						if where == "Post" || where == "draining Post" {
							<-hang
						}
						if where == "held Post" {
							return weir.PostPend
						}
						return weir.PostFinished
					},
					start: func() {
						if where == "TeardownStart" {
							<-hang
						}
					},
					teardown: func(context.Context) {
						if where == "Teardown" {
							<-hang
						}
					},
				}
				if where == "Completed" {
					callback.hook = func() { <-hang }
				}
				in := r.instance("100", create, create, callback)
				var err error
				if where == "hold" {
					_, err = in.Host().Hold("copy")
				}
				if where == "Completed" {
					go r.Deliver(ops("a"))
				}
				done := make(chan weir.Result, 1)
				go func() {
					done <- r.Do(context.Background(), creation(), lower(func(context.Context, *weir.Parameters) weir.Result {
						if where == "draining Post" {
							<-below
						}
						return weir.Result{N: 1}
					}))
				}()
				synctest.Wait()
				began := time.Now()
				r.end(in, impatient(t))
				if took := time.Since(began); err != nil || took < 2*time.Second || took > 4*time.Second {
					t.Errorf("took %v, error %v", took, err)
				}
				close(hang)
				close(below)
				if result := <-done; result.N != 1 || result.Err != nil {
					t.Errorf("result %+v", result)
				}
				if where == "held Post" && weir.KindOf(call.ResumePost()) != weir.KindRefused {
					t.Error("resumed after the end")
				}
				if s := in.Stats(); s.Owed != s.Posts+s.Drained || s.Inside != 0 {
					t.Errorf("stats %+v", s)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// A teardown waits for callbacks that run, for as long as it takes where nothing is mandatory, and names them meanwhile;
// nothing is called after Teardown.
func TestTeardownWaitsForCallbacks(t *testing.T) {
	for where, kept := range map[string]string{
		"Completed": "[in Completed]", "Lost": "[in Lost]", "Changed": "[in Changed]", "Pre": "[in Pre: create of a]", "Post": "[in Post: create of a]",
		"TeardownStart": "[in TeardownStart]", "draining Post": "[in a draining Post]", "Teardown": "[in Teardown]",
	} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, slow := newRig(), &slow{at: where}
				in := r.instance("100", create, create, slow)
				switch where {
				case "Completed":
					go r.Deliver(ops("a"))
				case "Lost":
					go r.Lost("lost")
				case "Changed":
					go in.Change()
				default:
					go r.Do(context.Background(), creation(), lower(func(context.Context, *weir.Parameters) weir.Result {
						if where == "draining Post" {
							time.Sleep(2 * time.Hour)
						}
						return weir.Result{}
					}))
				}
				synctest.Wait()
				ended := make(chan struct{})
				go func() { defer close(ended); r.end(in, patient()) }()
				time.Sleep(59 * time.Minute)
				if got := fmt.Sprint(in.Keepers()); got != kept {
					t.Errorf("kept by %s, want %s", got, kept)
				}
				in.Change()
				in.Lose("late")
				<-ended
				time.Sleep(3 * time.Hour)
				if called := slow.String(); !strings.Contains(called, "end "+where) || !strings.HasSuffix(called, "end Teardown") {
					t.Errorf("called %s", called)
				}
				if kept := in.Keepers(); len(kept) != 0 {
					t.Errorf("kept by %s", kept)
				}
			})
		})
	}
}

// slow is an instance that takes an hour in one callback, and notes what is called.
type slow struct {
	trace
	at string
}

func (s *slow) call(name string) {
	s.add("%s", name)
	if name == s.at {
		time.Sleep(time.Hour)
	}
	s.add("end %s", name)
}

func (s *slow) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.list, ", ")
}

func (s *slow) Completed([]weir.Operation)                    { s.call("Completed") }
func (s *slow) Lost(string)                                   { s.call("Lost") }
func (s *slow) Changed()                                      { s.call("Changed") }
func (s *slow) Pre(context.Context, weir.Call) weir.PreStatus { s.call("Pre"); return weir.PreContinue }
func (s *slow) TeardownStart(weir.TeardownReason)             { s.call("TeardownStart") }

func (s *slow) Post(_ context.Context, c weir.Call) weir.PostStatus {
	if c.Draining() {
		s.call("draining Post")
	} else {
		s.call("Post")
	}
	return weir.PostFinished
}

func (s *slow) Teardown(ctx context.Context, _ weir.TeardownReason) {
	if ctx.Err() != nil {
		s.add("too late")
	}
	s.call("Teardown")
}

// Where a callback does not return before all patience is over, nothing more is called: neither Teardown, nor what waits.
func TestNothingIsCalledAfterWhatIsLeftBehind(t *testing.T) {
	for _, where := range []string{"Completed", "Pre", "TeardownStart", "draining Post"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, slow := newRig(), &slow{at: where}
				in := r.instance("100", create, create, slow)
				go r.Do(context.Background(), creation(), lower(func(context.Context, *weir.Parameters) weir.Result {
					if where == "draining Post" {
						time.Sleep(2 * time.Hour)
					}
					return weir.Result{}
				}))
				if where == "Completed" {
					go r.Deliver(ops("a"))
					synctest.Wait()
					in.Change()
					in.Lose("waits")
				}
				synctest.Wait()
				r.Remove(in)
				left := in.TearDown(impatient(t), slow, weir.TeardownShutdown)
				if got := fmt.Sprint(left); !strings.HasPrefix(got, "[in ") || !strings.Contains(got, where) {
					t.Errorf("left %s", got)
				}
				time.Sleep(3 * time.Hour)
				if called := slow.String(); !strings.HasSuffix(called, "end "+where) || strings.Contains(called, "end Teardown,") {
					t.Errorf("called %s", called)
				}
				if s := r.logger.String(); strings.Count(s, "is not waited for") != 1 || !strings.Contains(s, where) {
					t.Errorf("logged %s", s)
				}
			})
		})
	}
}

// What is pended fails when its time is over, also while the filter does not return from a callback, and so does what it pends
// after that.
func TestPendedOperationsFailWhileACallbackRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := newRig(), time.Now()
		in := r.instance("100", create, create, &script{
			pre: func(_ context.Context, c weir.Call) weir.PreStatus {
				if c.Parameters().Offset == 1 {
					time.Sleep(time.Minute)
				}
				return weir.PrePend
			},
			start: func() { time.Sleep(time.Hour) },
		})
		failed := make(chan time.Duration, 2)
		for i := range 2 {
			p := creation()
			p.Offset = int64(i)
			go func() {
				if result := r.Do(context.Background(), p, new(trace).lower()); result.Err == nil {
					t.Error("it has not failed")
				}
				failed <- time.Since(began)
			}()
		}
		synctest.Wait()
		p := patient()
		p.Pended = 2 * time.Second
		r.end(in, p)
		if first, second := <-failed, <-failed; first != 2*time.Second || second != time.Minute || time.Since(began) != time.Hour {
			t.Errorf("failed after %v and %v, ended after %v", first, second, time.Since(began))
		}
	})
}
