package manager_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// wisher is a filter that asks for nothing by itself. Its last host is left in host.
func wisher(l *log, host *weir.Host) *weir.Filter {
	f := spyFilter(l, "w", "200", nil)
	f.Wants = 0
	set := f.Setup
	f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
		*host = site.Host
		return set(ctx, site)
	}
	return f
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestWantsChange(t *testing.T) {
	var host weir.Host
	simulate(t, func(l *log) []*weir.Filter { return []*weir.Filter{wisher(l, &host)} }, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "w@1: setup 1")
		check(t, v.Create("a"))
		b.want(t, "")
		check(t, host.Want(t.Context(), weir.OpCreate|weir.OpOpen), v.Create("b"), v.Read("b"), v.Remove("b"))
		b.want(t, "w@1: create b", "w@1: open b")

		// Another filter's wish is no reason to tell this one, and ends with its instance.
		check(t, b.Start(spyFilter(&b.log, "other", "100", nil)))
		b.want(t, "other@1: setup 0")
		check(t, v.Write("a"), v.Create("c"))
		b.want(t, "w@1: open a", "other@1: modify a", "other@1: create c", "w@1: create c")
		check(t, b.Unload(t.Context(), "other", false, ""))
		b.want(t, "other@1: teardown 2")
		check(t, host.Want(t.Context(), weir.OpCreate), v.Read("a"), v.Create("d"))
		b.want(t, "w@1: create d")
		check(t, host.Want(t.Context(), 0), v.Create("e"))
		b.want(t, "")

		if err := host.Want(t.Context(), 1<<20); weir.KindOf(err) != weir.KindUnsupported {
			t.Errorf("asked for what no plane delivers: %v", err)
		}
		b.discovery.Unmount(v)
		b.want(t, "w@1: teardown 0")
		if err := host.Want(t.Context(), weir.OpCreate); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("asked for operations after the end: %v", err)
		}
	})
}

// TestLaterFilterIsProvidedFor starts a filter that wants more than what the frame was attached for.
func TestLaterFilterIsProvidedFor(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: setup 1")
		g := spyFilter(&b.log, "g", "200", nil)
		g.Wants = weir.OpAccess | weir.OpCreate
		check(t, b.Start(g))
		b.want(t, "g@1: setup 0")
		check(t, v.Create("a"), v.Read("a"))
		b.want(t, "f@1: create a", "g@1: create a", "g@1: access a")
	})
}

func TestWhatIsNotObservedCannotBeAskedFor(t *testing.T) {
	var host weir.Host
	simulate(t, func(l *log) []*weir.Filter { return []*weir.Filter{wisher(l, &host)} }, func(t *testing.T, b *bench) {
		v := memory.NewVolume(1, "/odd")
		v.Refuse(&weir.Error{Op: "attach", Kind: weir.KindUnsupported, Err: errors.New("no handles")})
		b.discovery.Mount(v)
		b.want(t, "w@1: setup 1")
		err := host.Want(t.Context(), weir.OpCreate)
		if weir.KindOf(err) != weir.KindUnsupported || err.Error() != "ask for operations: attach: no handles" {
			t.Errorf("error %v", err)
		}
		check(t, host.Want(t.Context(), 0))
		v.Refuse(nil)
		b.discovery.Remount(v, "/odd", "/again")
		b.wantAnyOrder(t, "w@1: changed", "w@1: lost: the volume is observed only from now on")
		check(t, host.Want(t.Context(), weir.OpCreate), v.Create("a"))
		b.want(t, "w@1: create a")
	})
}
