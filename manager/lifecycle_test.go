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
)

func guards(with func(*guard)) func(*log) []*weir.Filter {
	return func(l *log) []*weir.Filter { return []*weir.Filter{guardFilter(l, "f", "100", with)} }
}

func TestDetachCanBeRefused(t *testing.T) {
	refuse := true
	withFilters(t, guards(func(g *guard) {
		g.query = func() error {
			if refuse {
				return errors.New("it copies")
			}
			return nil
		}
	}), func(t *testing.T, b *bench, _ *memory.Volume) {
		err := b.Detach(t.Context(), "f", "", 1, "test")
		if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), "it copies") {
			t.Errorf("error %v", err)
		}
		b.wantState(t, "f", 1, "attached")
		refuse = false
		if err := b.Detach(t.Context(), "f", "", 1, "test"); err != nil {
			t.Error(err)
		}
		b.want(t, "f@1: teardown 1")
		refuse = true
		if err := b.Attach("f", "", 1); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := b.Unload(t.Context(), "f", false); err != nil { // is not asked of the instance
			t.Error(err)
		}
		b.want(t, "f@1: teardown 2")
	})
}

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
				err := b.Unload(t.Context(), "f", tt.mandate)
				if (err == nil) != tt.unloaded || err != nil && weir.KindOf(err) != weir.KindRefused {
					t.Errorf("error %v", err)
				}
				asked := fmt.Sprintf("unload, mandatory %v", tt.mandate)
				if tt.unloaded {
					b.want(t, asked, "f@1: teardown 2")
				} else {
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
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				at := func(here string) {
					if here == where {
						<-hang
					}
				}
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
				discovery := new(memory.Discovery)
				m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: []*weir.Filter{f}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- m.Run(ctx) }()
				v := memory.NewVolume(1, "/m")
				discovery.Mount(v)
				synctest.Wait()
				done := make(chan error, 1)
				go func() { done <- v.Create("a") }()
				synctest.Wait()
				if where == "hold" || where == "pended" || where == "Setup" {
					polite, cancel := context.WithTimeout(t.Context(), time.Second)
					err := m.Unload(polite, "f", false)
					cancel()
					want := map[string]string{"hold": "held by copy", "pended": "pended by Pre: create of a", "Setup": "set up: filter f on volume 1"}[where]
					if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("unload politely: %v", err)
					}
					if slot := m.Snapshot().Slot("f", 1); where != "Setup" && !strings.Contains(slot.Why, want) {
						t.Errorf("slot %+v", slot)
					}
				}
				began := time.Now()
				if err := m.Unload(t.Context(), "f", true); err != nil {
					t.Errorf("unload: %v", err)
				}
				if took := time.Since(began); took >= 5*time.Second || m.Snapshot().Filter("f") != nil {
					t.Errorf("took %v, and the filter is there: %v", took, m.Snapshot().Filter("f") != nil)
				}
				close(hang)
				if err := <-done; (err != nil) != (where == "pended") {
					t.Errorf("the operation: %v", err)
				}
				if err := v.Create("b"); err != nil {
					t.Error(err)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			})
		})
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
		q, err := pend.New(limit, pend.Fail)
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
			if err := m.Unload(t.Context(), "f", false); err != nil {
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

// Callbacks may use the manager, and mount volumes.
func TestCallbacksUseTheManager(t *testing.T) {
	var b *bench
	var next atomic.Uint64
	next.Store(1)
	mountAnother := func() {
		if id := next.Add(1); id < 5 {
			b.mount(weir.VolumeID(id))
		}
	}
	simulate(t, func(l *log) []*weir.Filter {
		f := guardFilter(l, "f", "100", func(g *guard) {
			g.pre = func(g *guard, ctx context.Context, c weir.Call) weir.PreStatus {
				if c.Parameters().Name == "detach" {
					if err := b.Detach(ctx, "f", "", g.site.Volume.ID(), "itself"); err != nil {
						g.log.add("%v", err)
					}
				}
				mountAnother()
				b.Snapshot()
				return weir.PreContinue
			}
			g.post = func(g *guard, _ context.Context, c weir.Call) weir.PostStatus {
				g.log.add("%s: draining %v", g.name, c.Draining())
				return weir.PostFinished
			}
		})
		setup := f.Setup
		f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			if b != nil {
				mountAnother()
			}
			return setup(ctx, site)
		}
		return []*weir.Filter{f}
	}, func(t *testing.T, running *bench) {
		b = running
		v := b.mount(1)
		synctest.Wait()
		for id := weir.VolumeID(1); id < 5; id++ {
			b.wantState(t, "f", id, "attached")
		}
		if err := v.Create("detach"); err != nil {
			t.Error(err)
		}
		b.wantState(t, "f", 1, "detached")
		synctest.Wait()
		if got := b.log.take(); strings.Count(got, "draining") != 1 || !strings.Contains(got, "f@1: teardown 1") {
			t.Errorf("told:\n%s", got)
		}
	})
}

// Whoever loads and unloads one name at the same time: it is there once, or not, and everything that came has ended.
func TestLoadAndUnloadRace(t *testing.T) {
	discovery := new(memory.Discovery)
	m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	for id := range weir.VolumeID(5) {
		discovery.Mount(memory.NewVolume(id+1, fmt.Sprint("/mnt/", id)))
	}
	var alive, set, loaded, unloaded atomic.Int64
	load := func() {
		f := guardFilter(new(log), "f", "100", nil)
		f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
			set.Add(1)
			if n := alive.Add(1); n > 5 {
				t.Errorf("%d instances on 5 volumes", n)
			}
			return &counted{guard: guard{spy: spy{new(log), "f"}, site: site}, alive: &alive}, nil
		}
		switch err := m.Start(f); {
		case err == nil:
			loaded.Add(1)
		case weir.KindOf(err) != weir.KindRefused:
			t.Error(err)
		}
	}
	var wg, unloaders sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for loaded.Load() < 100 {
				load()
				runtime.Gosched()
			}
		})
	}
	over := make(chan struct{})
	for i := range 2 {
		unloaders.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				switch err := m.Unload(t.Context(), "f", i == 1); {
				case err == nil:
					unloaded.Add(1)
				case weir.KindOf(err) != weir.KindAbsent:
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	close(over)
	unloaders.Wait()
	if err := m.Unload(t.Context(), "f", false); err != nil && weir.KindOf(err) != weir.KindAbsent {
		t.Error(err)
	}
	if alive.Load() != 0 {
		t.Errorf("%d instances are left of %d", alive.Load(), set.Load())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Logf("loaded %d times, unloaded %d times, %d instances", loaded.Load(), unloaded.Load(), set.Load())
}

// counted is a guard that is counted.
type counted struct {
	guard
	alive *atomic.Int64
}

func (c *counted) Teardown(context.Context, weir.TeardownReason) { c.alive.Add(-1) }

// A shutdown fails what is pended, and names who holds on.
func TestShutdownDoesNotWaitForFilters(t *testing.T) {
	hold := false
	filters := guards(func(g *guard) {
		g.pre = func(*guard, context.Context, weir.Call) weir.PreStatus { return weir.PrePend }
		if hold {
			_, _ = g.site.Host.Hold("copy")
		}
	})
	for _, hold = range []bool{false, true} {
		withFilters(t, filters, func(t *testing.T, b *bench, v *memory.Volume) {
			done := make(chan error, 1)
			go func() { done <- v.Create("a") }()
			synctest.Wait()
			began := time.Now()
			b.stop()
			err := <-b.ended
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if hold != (err != nil) || hold && !strings.Contains(err.Error(), "tear down: filter f on volume 1 (memory1) has not ended: held by copy") {
				t.Errorf("error %v", err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), "the instance has ended before it let the operation go on") {
				t.Errorf("the operation: %v", err)
			}
			b.want(t, "f@1: teardown 3")
		})
	}
}
