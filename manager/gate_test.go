package manager_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// picky is a plane that intercepts when it likes to.
type picky struct {
	memory.Plane
	name        string
	err         func(try int64) error
	tries, held atomic.Int64
}

func (p *picky) Name() string { return p.name }

func (p *picky) Intercept(ctx context.Context, v weir.Volume, altitude weir.Altitude, gate weir.Gate) (weir.Interception, error) {
	if err := p.err(p.tries.Add(1)); err != nil {
		return nil, err
	}
	i, err := p.Plane.Intercept(ctx, v, altitude, gate)
	p.held.Add(1)
	return &pickyInterception{Interception: i, plane: p}, err
}

// pickyInterception is counted until it is detached.
type pickyInterception struct {
	weir.Interception
	plane *picky
}

func (i *pickyInterception) Detach() error {
	i.plane.held.Add(-1)
	return i.Interception.Detach()
}

func withPlanes(t *testing.T, filters func(*log) []*weir.Filter, planes func() []weir.Plane, test func(*testing.T, *bench, *memory.Volume)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{ended: make(chan error, 1)}
		m, err := manager.New(manager.Options{Discovery: &b.discovery, Planes: planes(), Filters: filters(&b.log)})
		if err != nil {
			t.Fatal(err)
		}
		b.Manager = m
		ctx, stop := context.WithCancel(t.Context())
		go func() { b.ended <- m.Run(ctx) }()
		v := b.mount(1)
		synctest.Wait()
		test(t, b, v)
		stop()
		if err := <-b.ended; err != nil {
			t.Error(err)
		}
	})
}

func gateOf(b *bench) string { return b.Snapshot().Volumes[0].Links[0].Gate }

// A plane that a volume does not accept is passed over; one that fails is tried again.
func TestGateIsMadeByTheFirstPlaneThatCan(t *testing.T) {
	never := &picky{name: "never", err: func(int64) error {
		return &weir.Error{Op: "intercept", Kind: weir.KindUnsupported, Err: errors.New("not this volume")}
	}}
	late := &picky{name: "late", err: func(try int64) error {
		if try == 1 {
			return errors.New("not yet")
		}
		return nil
	}}
	withPlanes(t, guards(notes(nil)), func() []weir.Plane { return []weir.Plane{never, late} }, func(t *testing.T, b *bench, v *memory.Volume) {
		b.wantState(t, "f", 1, "failed")
		if slot := b.Snapshot().Slot("f", 1); !strings.Contains(slot.Why, "not yet") {
			t.Errorf("slot %+v", slot)
		}
		time.Sleep(time.Second)
		b.wantState(t, "f", 1, "attached")
		if got := gateOf(b); got != "late" {
			t.Errorf("the gate is of %q", got)
		}
		_ = v.Create("a")
		b.want(t, "f@1: pre create a", "f@1: post create a")
	})
	if never.tries.Load() != 2 || late.tries.Load() != 2 || late.held.Load() != 0 {
		t.Errorf("tried %d and %d times, %d are held", never.tries.Load(), late.tries.Load(), late.held.Load())
	}
}

func TestInterceptorNeedsAPlane(t *testing.T) {
	never := &picky{name: "never", err: func(int64) error {
		return &weir.Error{Op: "intercept", Kind: weir.KindUnsupported, Err: errors.New("not this volume")}
	}}
	withPlanes(t, guards(nil), func() []weir.Plane { return []weir.Plane{never} }, func(t *testing.T, b *bench, v *memory.Volume) {
		b.wantState(t, "f", 1, "failed")
		if slot := b.Snapshot().Slot("f", 1); !strings.Contains(slot.Why, "not this volume") {
			t.Errorf("slot %+v", slot)
		}
		if err := b.Unload(t.Context(), "f", false, ""); err != nil {
			t.Error(err)
		}
	})
}

// The instances of a frame share a gate, which is there as long as one of them is; observers need none.
func TestGateIsShared(t *testing.T) {
	plane := &picky{name: "p", err: func(int64) error { return nil }}
	withPlanes(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{guardFilter(l, "a", "100", nil), spyFilter(l, "observer", "150", nil), guardFilter(l, "b", "200", nil)}
	}, func() []weir.Plane { return []weir.Plane{plane} }, func(t *testing.T, b *bench, _ *memory.Volume) {
		for _, step := range []struct {
			do          func() error
			tries, held int64
		}{
			{func() error { return nil }, 1, 1},
			{func() error { return b.Detach(t.Context(), "a", "", 1, "test") }, 1, 1},
			{func() error { return b.Detach(t.Context(), "observer", "", 1, "test") }, 1, 1},
			{func() error { return b.Detach(t.Context(), "b", "", 1, "test") }, 1, 0},
			{func() error { return b.Attach("observer", "", 1) }, 1, 0},
			{func() error { return errors.Join(b.Attach("a", "", 1), b.Attach("b", "", 1)) }, 2, 1},
			{func() error {
				return errors.Join(b.Unload(t.Context(), "a", true, ""), b.Unload(t.Context(), "b", false, ""))
			}, 2, 0},
		} {
			if err := step.do(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if plane.tries.Load() != step.tries || plane.held.Load() != step.held {
				t.Errorf("intercepted %d times, and holds %d; want %+v", plane.tries.Load(), plane.held.Load(), step)
			}
		}
	})
}
