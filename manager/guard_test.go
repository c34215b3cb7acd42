package manager_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
)

func TestPanicInSetupIsAFailure(t *testing.T) {
	simulate(t, one(func(context.Context, weir.Volume) error { panic("bug") }), func(t *testing.T, b *bench) {
		b.mount(1)
		b.wantState(t, "f", 1, "failed")
	})
}

func TestPanicOfAFilterThatIsAskedIsAFailure(t *testing.T) {
	simulate(t, func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Concerns = func(context.Context, weir.Volume) error { panic("oh") }
		return []*weir.Filter{f}
	}, func(t *testing.T, b *bench) {
		b.mount(1)
		b.wantState(t, "f", 1, "failed")
		if slot := b.Snapshot().Slot("f", 1); slot.Why != "panic in Concerns of filter f: oh" {
			t.Errorf("slot is %+v", slot)
		}
		if s := b.logged.take(); !strings.Contains(s, `callback=Concerns panics=1 panic=oh stack="goroutine`) {
			t.Errorf("logged %s", s)
		}
	})
}

// A panic in what is asked again and again is logged the first time, the second, the fourth; another filter of that name
// begins anew.
func TestPanicsAreNotLoggedForEver(t *testing.T) {
	filters := func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Remarks = func() []weir.Remark { panic("oh") }
		return []*weir.Filter{f}
	}
	simulate(t, filters, func(t *testing.T, b *bench) {
		for range 2 {
			b.logged.take()
			for range 100 {
				b.Snapshot()
			}
			if s := b.logged.take(); strings.Count(s, "level=ERROR") != 7 || strings.Count(s, "stack=") != 7 || !strings.Contains(s, "panics=64") {
				t.Errorf("logged %s", s)
			}
			check(t, b.Unload(t.Context(), "f", false, ""))
			check(t, b.Start(filters(&b.log)[0]))
			synctest.Wait()
		}
	})
}
