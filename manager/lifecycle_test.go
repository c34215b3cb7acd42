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
		if err := b.Unload(t.Context(), "f", false, ""); err != nil { // is not asked of the instance
			t.Error(err)
		}
		b.want(t, "f@1: teardown 2")
	})
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
				switch err := m.Unload(t.Context(), "f", i == 1, ""); {
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
	if err := m.Unload(t.Context(), "f", false, ""); err != nil && weir.KindOf(err) != weir.KindAbsent {
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
