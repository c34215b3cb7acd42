package manager_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

const everything = weir.OpCreate | weir.OpDelete | weir.OpRename | weir.OpModify | weir.OpClose | weir.OpAttrib | weir.OpOpen | weir.OpAccess

// guard is a spy that operations pass. Nil callbacks let them go on.
type guard struct {
	spy
	site  weir.Site
	pre   func(g *guard, ctx context.Context, c weir.Call) weir.PreStatus
	post  func(g *guard, ctx context.Context, c weir.Call) weir.PostStatus
	query func() error
	start func(*guard)
}

func (g *guard) Pre(ctx context.Context, c weir.Call) weir.PreStatus {
	if g.pre == nil {
		return weir.PreContinue
	}
	return g.pre(g, ctx, c)
}

func (g *guard) Post(ctx context.Context, c weir.Call) weir.PostStatus {
	if g.post == nil {
		return weir.PostFinished
	}
	return g.post(g, ctx, c)
}

func (g *guard) QueryTeardown(context.Context) error {
	if g.query == nil {
		return nil
	}
	return g.query()
}

func (g *guard) TeardownStart(weir.TeardownReason) {
	if g.start != nil {
		g.start(g)
	}
}

// guardFilter is a filter of guards that intercepts every operation. with fills in each.
func guardFilter(l *log, name, altitude string, with func(*guard)) *weir.Filter {
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude(altitude), Before: everything, After: everything,
		Contexts: []weir.ContextKind{weir.ContextVolume, weir.ContextInstance, weir.ContextFile, weir.ContextOpen},
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			g := &guard{spy: spy{l, fmt.Sprintf("%s@%d", site.Instance.Name, site.Volume.ID())}, site: site}
			if with != nil {
				with(g)
			}
			return g, nil
		},
	}
}

// notes has a guard note creations, and what pre makes of them.
func notes(pre func(g *guard, ctx context.Context, c weir.Call) weir.PreStatus) func(*guard) {
	return func(g *guard) {
		g.pre = func(g *guard, ctx context.Context, c weir.Call) weir.PreStatus {
			g.log.add("%s: pre %s %s", g.name, c.Parameters().Op, c.Parameters().Name)
			if pre == nil {
				return weir.PreContinue
			}
			return pre(g, ctx, c)
		}
		g.post = func(g *guard, _ context.Context, c weir.Call) weir.PostStatus {
			kind := "post"
			if c.Draining() {
				kind = "drain"
			}
			g.log.add("%s: %s %s %s", g.name, kind, c.Parameters().Op, c.Parameters().Name)
			return weir.PostFinished
		}
	}
}

// with simulates a manager with filters over one volume.
func withFilters(t *testing.T, filters func(l *log) []*weir.Filter, test func(t *testing.T, b *bench, v *memory.Volume)) {
	t.Helper()
	simulate(t, filters, func(t *testing.T, b *bench) {
		v := b.mount(1)
		synctest.Wait()
		b.log.take()
		test(t, b, v)
	})
}

var errVeto = errors.New("not here")

func TestOperationsPassTheFilters(t *testing.T) {
	withFilters(t, func(l *log) []*weir.Filter {
		observer := spyFilter(l, "observer", "50", nil)
		veto := func(_ *guard, _ context.Context, c weir.Call) weir.PreStatus {
			if c.Parameters().Name != "secret" {
				return weir.PreContinue
			}
			c.Result().Err = errVeto
			return weir.PreComplete
		}
		return []*weir.Filter{observer, guardFilter(l, "high", "300", notes(nil)), guardFilter(l, "low", "100", notes(veto))}
	}, func(t *testing.T, b *bench, v *memory.Volume) {
		if err := v.Create("a"); err != nil {
			t.Error(err)
		}
		b.want(t, "high@1: pre create a", "low@1: pre create a", "observer@1: create a", "low@1: post create a", "high@1: post create a")
		if err := v.Create("secret"); !errors.Is(err, errVeto) {
			t.Errorf("error %v", err)
		}
		b.want(t, "high@1: pre create secret", "low@1: pre create secret", "high@1: post create secret")
		s := b.Snapshot()
		if got := s.Filter("low").Stats; got.Operations != 2 || got.Posts != 1 {
			t.Errorf("stats %+v", got.Flow)
		}
		if gate := s.Volumes[0].Links[0].Gate; gate != "memory" {
			t.Errorf("the gate is of %q", gate)
		}
		for _, name := range []string{"high", "low"} {
			if err := b.Unload(t.Context(), name, false, ""); err != nil {
				t.Error(err)
			}
		}
		b.want(t, "high@1: teardown 2", "low@1: teardown 2")
		if err := v.Create("secret"); err != nil {
			t.Error(err)
		}
		b.want(t, "observer@1: create secret")
		if gate := b.Snapshot().Volumes[0].Links[0].Gate; gate != "" {
			t.Errorf("the gate of %q stays without instances", gate)
		}
	})
}

// What is above a layer passes first, whichever frame was there first.
func TestFramesArePassedFromHighToLow(t *testing.T) {
	withFilters(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{guardFilter(l, "low", "100", notes(nil))}
	}, func(t *testing.T, b *bench, v *memory.Volume) {
		layer := memory.NewVolume(2, "/layer")
		layer.Stack(weir.MustAltitude("500"), 1)
		b.discovery.Mount(layer)
		if err := b.Start(guardFilter(&b.log, "high", "900", notes(nil))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = v.Create("a")
		b.want(t, "high@1: pre create a", "low@1: pre create a", "low@1: post create a", "high@1: post create a")
		_ = layer.Create("b")
		b.want(t, "high@2: pre create b", "high@2: post create b")
	})
}

func TestOperationGoesOnOnAnotherVolume(t *testing.T) {
	withFilters(t, func(l *log) []*weir.Filter {
		move := func(g *guard, _ context.Context, c weir.Call) weir.PreStatus {
			p := c.Parameters()
			if other, ok := strings.CutPrefix(p.Name, "to "); ok && p.Volume == 1 {
				p.Volume, p.Name = weir.VolumeID(other[0]-'0'), "moved"
				c.MarkDirty()
			}
			return weir.PreContinue
		}
		return []*weir.Filter{guardFilter(l, "mover", "200", notes(move)), guardFilter(l, "low", "100", notes(nil))}
	}, func(t *testing.T, b *bench, v *memory.Volume) {
		other := b.mount(2)
		synctest.Wait()
		// Both volumes number their inodes alike, so that the root of one is that of the other.
		if err := v.Create("to 2"); err != nil {
			t.Error(err)
		}
		b.want(t, "mover@1: pre create to 2", "low@2: pre create moved", "low@2: post create moved", "mover@1: post create to 2")
		if _, err := other.Handle("moved"); err != nil {
			t.Error(err)
		}
		if err := v.Create("to 7"); weir.KindOf(errors.Unwrap(err)) != weir.KindRefused {
			t.Errorf("error %v", err)
		}
	})
}

func TestInstanceHasToIntercept(t *testing.T) {
	withFilters(t, func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Before = weir.OpCreate
		return []*weir.Filter{f}
	}, func(t *testing.T, b *bench, v *memory.Volume) {
		b.wantState(t, "f", 1, "failed")
		if slot := b.Snapshot().Slot("f", 1); !strings.Contains(slot.Why, "its instance has no Pre and Post") {
			t.Errorf("slot %+v", slot)
		}
		if err := v.Create("a"); err != nil {
			t.Error(err)
		}
	})
}
