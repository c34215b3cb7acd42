package manager_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

func TestVolumeThatConcernsNobodyIsNotObserved(t *testing.T) {
	simulate(t, func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Concerns = func(_ context.Context, v weir.Volume) error {
			l.add("f@%d: asked", v.ID())
			if point := v.Info().Mounts[0].Point; point != "/here" {
				return fmt.Errorf("%w: it is at %s", weir.ErrDecline, point)
			}
			return nil
		}
		return []*weir.Filter{f}
	}, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: asked")
		b.wantState(t, "f", 1, "declined")
		link := func() topology.LinkState { return b.Snapshot().Volumes[0].Links[0].State }
		if link() != topology.LinkIdle {
			t.Errorf("the link is %v", link())
		}
		b.discovery.Remount(v, "/here")
		b.want(t, "f@1: asked", "f@1: setup 1")
		if link() != topology.LinkAttached {
			t.Errorf("the link is %v", link())
		}
		_ = v.Create("a")
		b.want(t, "f@1: create a")
	})
}

func TestDeclinedIsAskedAgainWhenMountsChange(t *testing.T) {
	simulate(t, one(func(_ context.Context, v weir.Volume) error {
		if v.Info().Mounts[0].Point == "/wanted" {
			return nil
		}
		return weir.ErrDecline
	}), func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: declined")
		b.wantState(t, "f", 1, "declined")
		if link := b.Snapshot().Volumes[0].Links[0].State.String(); link != "idle" {
			t.Errorf("a volume that every filter declined is %s", link)
		}
		b.discovery.Remount(v, "/wanted")
		b.want(t, "f@1: setup 1")
	})
}

// What a filter says of mounts that have changed again meanwhile ends no instance.
func TestLateAnswerEndsNoInstance(t *testing.T) {
	var goOn chan struct{}
	simulate(t, func(l *log) []*weir.Filter {
		goOn = make(chan struct{})
		f := spyFilter(l, "f", "100", nil)
		f.Concerns = func(_ context.Context, v weir.Volume) error {
			if v.Info().Mounts[0].Point != "/elsewhere" {
				return nil
			}
			<-goOn
			return weir.ErrDecline
		}
		return []*weir.Filter{f}
	}, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: setup 1")
		for _, point := range []string{"/elsewhere", "/mnt/1"} {
			b.discovery.Remount(v, point)
			b.want(t, "f@1: changed")
		}
		close(goOn)
		b.want(t)
		b.wantState(t, "f", 1, "attached")
	})
}

// An instance whose filter declines since the mounts have changed ends, without a gap, and comes back when it concerns the filter
// again. A filter that cannot tell keeps it.
func TestInstanceEndsWhenItsFilterDeclines(t *testing.T) {
	book, err := ledger.Open(t.TempDir())
	check(t, err)
	defer book.Close()
	simulateWith(t, func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Concerns = func(_ context.Context, v weir.Volume) error {
			switch v.Info().Mounts[0].Point {
			case "/elsewhere":
				return fmt.Errorf("%w: it is elsewhere", weir.ErrDecline)
			case "/unknown":
				return errors.New("nobody can tell")
			}
			return nil
		}
		return []*weir.Filter{f}
	}, func(o *manager.Options) { o.Ledger = book }, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: setup 1")
		b.discovery.Remount(v, "/unknown")
		b.want(t, "f@1: changed")
		b.wantState(t, "f", 1, "attached")

		b.discovery.Remount(v, "/elsewhere")
		synctest.Wait()
		told := strings.TrimPrefix(b.log.take(), "f@1: changed\n") // or not: it ends meanwhile
		if want := fmt.Sprintf("f@1: teardown %d", weir.TeardownUnconcerned); told != want {
			t.Errorf("told %q, want %q", told, want)
		}
		s := b.Snapshot()
		if slot, link := s.Slot("f", 1), s.Volumes[0].Links[0]; slot.State.String() != "declined" || slot.Why != "it is elsewhere" || link.State.String() != "idle" {
			t.Errorf("slot %+v, link %+v", slot, link)
		}
		for _, gap := range book.Gaps() {
			if gap.Open() {
				t.Errorf("gap %+v", gap)
			}
		}

		b.discovery.Remount(v, "/mnt/1")
		b.want(t, "f@1: setup 1")
	})
}
