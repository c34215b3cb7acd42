//go:build !race

// The race detector has pools drop operations at random, and with them the count to the one that is timed.

package dispatch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
)

// slowScript takes as many milliseconds as the name of an entry says.
type slowScript struct{ quiet }

func (*slowScript) nap(name string) {
	var n int
	_, _ = fmt.Sscan(name, &n) // Others take no time.
	time.Sleep(time.Duration(n) * time.Millisecond)
}

func (s *slowScript) Pre(_ context.Context, c weir.Call) weir.PreStatus {
	s.nap(c.Parameters().Name)
	c.Parameters().Name = "changed" // Who asks is told what the operation was.
	return weir.PreContinue
}

func (*slowScript) Post(context.Context, weir.Call) weir.PostStatus { return weir.PostFinished }

func (s *slowScript) Completed(operations []weir.Operation) {
	for _, op := range operations {
		s.nap(op.Name)
	}
}

func TestSlowestCallsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		in := r.instance("100", create, create, new(slowScript))
		began := time.Now()
		for i := range 100 * sample {
			p := creation()
			p.Name = fmt.Sprint(1 + i*37%101)
			r.Do(t.Context(), p, nothing)
		}
		list := in.Stats().Slowest
		if len(list) != slowest || !slices.IsSortedFunc(list, func(a, b Slow) int { return int(b.Took - a.Took) }) {
			t.Fatalf("%d calls, or in no order: %+v", len(list), list)
		}
		for _, s := range list {
			if s.Callback != "Pre" || s.Operation != create || s.Count != 1 || s.Entry != fmt.Sprint(int(s.Took.Milliseconds())) || s.Volume != 1 || s.Began.Before(began) || s.Took < 80*time.Millisecond {
				t.Errorf("kept %+v", s)
			}
		}
		r.Deliver([]weir.Operation{{Ops: create, Name: "300"}})
		r.Deliver([]weir.Operation{{Ops: create, Name: "200"}, {Ops: create | weir.OpDelete, Name: "200"}})
		list = in.Stats().Slowest
		if got := list[0]; got.Callback != "Completed" || got.Count != 2 || got.Entry != "" || got.Operation != create || got.Took != 400*time.Millisecond {
			t.Errorf("the slowest is %+v", got)
		}
		if got := list[1]; got.Callback != "Completed" || got.Entry != "300" || got.Count != 1 {
			t.Errorf("the next is %+v", got)
		}
		var both Stats
		both.Add(in.Stats())
		both.Add(Stats{Slowest: []Slow{{Entry: "between", Took: 350 * time.Millisecond, Volume: 2}}})
		if len(both.Slowest) != slowest || both.Slowest[1].Entry != "between" || both.Slowest[2].Entry != "300" {
			t.Errorf("together: %+v", both.Slowest)
		}
	})
}
