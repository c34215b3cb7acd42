package manager_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/pend"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
)

func TestUnloadCanBeRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		unload   func(l *log) error
		mandate  bool
		unloaded bool
	}{
		"consents":            {func(*log) error { return nil }, false, true},
		"refuses":             {func(*log) error { return errors.New("busy") }, false, false},
		"refuses in vain":     {func(*log) error { return errors.New("busy") }, true, true},
		"panics":              {func(*log) error { panic("oh") }, false, false},
		"panics in vain":      {func(*log) error { panic("oh") }, true, true},
		"consents, mandatory": {func(*log) error { return nil }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			withFilters(t, func(l *log) []*weir.Filter {
				f := guardFilter(l, "f", "100", nil)
				f.Unload = func(_ context.Context, mandatory bool) error {
					l.add("unload, mandatory %v", mandatory)
					return tt.unload(l)
				}
				return []*weir.Filter{f}
			}, func(t *testing.T, b *bench, _ *memory.Volume) {
				err := b.Unload(t.Context(), "f", tt.mandate, "")
				if (err == nil) != tt.unloaded || err != nil && weir.KindOf(err) != weir.KindRefused {
					t.Errorf("error %v", err)
				}
				asked := fmt.Sprintf("unload, mandatory %v", tt.mandate)
				switch {
				case tt.mandate:
					b.want(t, asked, "f@1: teardown 5")
				case tt.unloaded:
					b.want(t, asked, "f@1: teardown 2")
				default:
					b.want(t, asked)
					b.wantState(t, "f", 1, "attached")
				}
			})
		})
	}
}

// Whatever a filter does not return from: a mandatory unloading ends in time, and says what it has left behind.
func TestCallbacksThatHangDoNotKeepAFilter(t *testing.T) {
	for _, where := range []string{"Concerns", "Setup", "Unload", "Pre", "Post", "TeardownStart", "Teardown", "Completed", "hold", "pended"} {
		t.Run(where, func(t *testing.T) {
			var hang chan struct{}
			at := func(here string) {
				if here == where {
					<-hang
				}
			}
			simulate(t, func(*log) []*weir.Filter { return []*weir.Filter{hangingFilter(t, where, at)} }, func(t *testing.T, b *bench) {
				hang = make(chan struct{}) // of the time in which it is waited for
				v := b.mount(1)
				synctest.Wait()
				done := make(chan error, 1)
				go func() { done <- v.Create("a") }()
				synctest.Wait()
				if where == "hold" || where == "pended" || where == "Setup" {
					polite, cancel := context.WithTimeout(t.Context(), time.Second)
					err := b.Unload(polite, "f", false, "")
					cancel()
					want := map[string]string{"hold": "held by copy", "pended": "pended by Pre: create of a", "Setup": "set up: filter f on volume 1"}[where]
					if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("unload politely: %v", err)
					}
					if slot := b.Snapshot().Slot("f", 1); where != "Setup" && !strings.Contains(slot.Why, want) {
						t.Errorf("slot %+v", slot)
					}
				}
				began := time.Now()
				if err := b.Unload(t.Context(), "f", true, "somebody"); err != nil {
					t.Errorf("unload: %v", err)
				}
				synctest.Wait()
				audited(t, b.logged.take(), map[string]string{
					"Concerns": "ask: filter f on volume 1 (memory1): Concerns", "Setup": "set up: filter f on volume 1 (memory1): Setup", "Unload": "f: Unload",
					"Pre": "tear down: filter f on volume 1 (memory1): in Pre: create of a", "Post": "tear down: filter f on volume 1 (memory1): in Post: create of a",
					"Completed": "tear down: filter f on volume 1 (memory1): in Completed",
					"hold":      "tear down: filter f on volume 1 (memory1): held by copy", "pended": "tear down: filter f on volume 1 (memory1): pended by Pre: create of a",
				}[where])
				if took := time.Since(began); took >= 5*time.Second || b.Snapshot().Filter("f") != nil {
					t.Errorf("took %v, and the filter is there: %v", took, b.Snapshot().Filter("f") != nil)
				}
				close(hang)
				if err := <-done; (err != nil) != (where == "pended") {
					t.Errorf("the operation: %v", err)
				}
				check(t, v.Create("b"))
				b.stop()
				check(t, <-b.ended)
				time.Sleep(time.Minute)
			})
		})
	}
}

// hangingFilter is one that calls at in each of its callbacks, and keeps its instance, or an operation, where that is said.
func hangingFilter(t *testing.T, where string, at func(string)) *weir.Filter {
	f := guardFilter(new(log), "f", "100", func(g *guard) {
		g.pre = func(*guard, context.Context, weir.Call) weir.PreStatus {
			at("Pre")
			if where == "pended" {
				return weir.PrePend
			}
			return weir.PreContinue
		}
		g.post = func(*guard, context.Context, weir.Call) weir.PostStatus { at("Post"); return weir.PostFinished }
		g.start = func(*guard) { at("TeardownStart") }
	})
	setup := f.Setup
	f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
		at("Setup")
		if where == "hold" {
			if _, err := site.Host.Hold("copy"); err != nil {
				t.Error(err)
			}
		}
		in, err := setup(ctx, site)
		return &hanging{in.(*guard), at}, err
	}
	f.Concerns = func(context.Context, weir.Volume) error { at("Concerns"); return nil }
	f.Unload = func(context.Context, bool) error { at("Unload"); return nil }
	f.Wants = weir.OpCreate
	return f
}

// A shutdown waits for a callback that does not return no longer than it has promised, names it, and calls nothing after that.
func TestShutdownLeavesBehindWhatDoesNotReturn(t *testing.T) {
	var hang chan struct{}
	simulateWith(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{hangingFilter(t, "", func(where string) {
			l.add("%s", where)
			if where == "Completed" {
				<-hang
			}
		})}
	}, func(o *manager.Options) { o.Verify = &verify.Options{} }, func(t *testing.T, b *bench) {
		hang = make(chan struct{})
		v := b.mount(1)
		synctest.Wait()
		go func() { _ = v.Create("a") }()
		synctest.Wait()
		began := time.Now()
		b.stop()
		if err := <-b.ended; err == nil || !strings.Contains(err.Error(), "tear down: filter f on volume 1 (memory1) has not ended: in Completed") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		b.log.take()
		close(hang)
		time.Sleep(time.Minute)
		if called := b.log.take(); called != "" {
			t.Errorf("called after the end: %s", called)
		}
		if s := b.logged.take(); !strings.Contains(s, "is not waited for") || strings.Contains(s, "ended without a Teardown") {
			t.Errorf("logged:\n%s", s)
		}
	})
}

// audited wants one record of who has unloaded a filter by force, with what was left behind; if that is empty, it is where
// the teardown hangs.
func audited(t *testing.T, log, left string) {
	t.Helper()
	if left == "" {
		left = "tear down: filter f on volume 1 (memory1): in Teardown"
	}
	const record = `msg="a filter was unloaded by force" filter=f by=somebody since=`
	if strings.Count(log, record) != 1 || !strings.Contains(log, "level=WARN "+record) || !strings.Contains(log, `refused=no left="`+left) {
		t.Errorf("the log does not tell of it, and that %s was left:\n%s", left, log)
	}
}

// hanging is a guard whose other callbacks hang too.
type hanging struct {
	*guard
	at func(string)
}

func (h *hanging) Completed([]weir.Operation) { h.at("Completed") }
func (h *hanging) Teardown(ctx context.Context, reason weir.TeardownReason) {
	h.at("Teardown")
	h.guard.Teardown(ctx, reason)
}

// queued is a filter whose operations wait for workers in a queue.
func queued(l *log, limit int) *weir.Filter {
	f := guardFilter(l, "f", "100", nil)
	f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
		q, err := pend.New(site.Host, limit, pend.Fail)
		if err != nil {
			return nil, err
		}
		return &guard{
			spy: spy{l, "f"}, site: site,
			pre:   func(_ *guard, ctx context.Context, c weir.Call) weir.PreStatus { return q.Put(ctx, c) },
			start: func(*guard) { q.Disable(pend.Pass) },
		}, nil
	}
	return f
}

// A filter ends fast whatever its operations wait for: for the volume, or for the filter itself.
func TestUnloadWithManyOperationsInFlight(t *testing.T) {
	const operations = 10_000
	goOn := make(chan struct{})
	for name, filter := range map[string]func(*log) *weir.Filter{
		"on the volume": func(l *log) *weir.Filter { return guardFilter(l, "f", "100", nil) },
		"in a queue":    func(l *log) *weir.Filter { return queued(l, operations) },
	} {
		t.Run(name, func(t *testing.T) {
			l, discovery := new(log), new(memory.Discovery)
			m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: []*weir.Filter{filter(l)}})
			if err != nil {
				t.Fatal(err)
			}
			before := runtime.NumGoroutine()
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- m.Run(ctx) }()
			v := memory.NewVolume(1, "/m")
			var below atomic.Int64
			hung := make(chan struct{}, operations)
			v.Obstruct(func(context.Context, *weir.Parameters) error {
				below.Add(1)
				hung <- struct{}{}
				<-goOn
				return nil
			})
			discovery.Mount(v)
			if err := m.Wait(t.Context(), func(s manager.Snapshot) bool { return s.Settled() && len(s.Slots) == 1 }); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range operations {
				wg.Go(func() {
					if err := v.Create(fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				})
			}
			for m.Snapshot().Filter("f").Stats.Inside < operations || name == "on the volume" && below.Load() < operations {
				runtime.Gosched()
			}
			began := time.Now()
			if err := m.Unload(t.Context(), "f", false, ""); err != nil {
				t.Error(err)
			}
			took := time.Since(began)
			if took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			t.Logf("unloaded in %v", took)
			for range operations { // they all go on without the filter
				<-hung
			}
			close(goOn)
			wg.Wait()
			goOn = make(chan struct{})
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
				runtime.Gosched()
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines are left of %d", n, before)
			}
		})
	}
}
