package manager_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/weirtest"
)

// ends is a filter of which is noted why its instances end.
type ends struct {
	before weir.Ops
	setUp  func() // runs in Setup

	mu      sync.Mutex
	reasons []string
}

func (e *ends) filter() *weir.Filter {
	return &weir.Filter{
		Name: "ends", Altitude: weir.MustAltitude("365000"), Wants: weir.OpCreate, Before: e.before,
		Setup: func(context.Context, weir.Site) (weir.Instance, error) {
			if e.setUp != nil {
				e.setUp()
			}
			return &ending{ends: e}, nil
		},
	}
}

// ending is an instance that operations do not pass.
type ending struct{ ends *ends }

func (*ending) Completed([]weir.Operation) {}
func (*ending) Lost(string)                {}
func (*ending) Changed()                   {}

func (i *ending) TeardownStart(reason weir.TeardownReason) { i.note("start: " + reason.String()) }

func (i *ending) Teardown(_ context.Context, reason weir.TeardownReason) { i.note(reason.String()) }

func (i *ending) note(reason string) {
	i.ends.mu.Lock()
	defer i.ends.mu.Unlock()
	i.ends.reasons = append(i.ends.reasons, reason)
}

// Instances are told why they end, each of them once. That they are is looked at by the verifier, too.
func TestInstancesAreToldWhyTheyEnd(t *testing.T) {
	hang := make(chan struct{})
	waits := func() { <-hang }
	turns := func(after time.Duration) func(*weirtest.World, *memory.Volume) {
		return func(w *weirtest.World, _ *memory.Volume) {
			polite, cancel := context.WithCancel(context.Background())
			defer cancel()
			unload := w.Begin(func() error { return w.Manager.Unload(polite, "ends", false, "somebody") })
			time.Sleep(time.Second)
			forced := w.Begin(func() error { return w.Manager.Unload(polite, "ends", true, "somebody else") })
			time.Sleep(after)
			close(hang)
			w.Must(unload.Wait(), forced.Wait())
			w.Settle()
		}
	}
	for name, c := range map[string]struct {
		ends *ends
		do   func(w *weirtest.World, v *memory.Volume)
		want []string
	}{
		"the volume leaves": {new(ends), func(w *weirtest.World, v *memory.Volume) { w.Unmount(v) }, []string{"start: volume left", "volume left"}},
		"detached":          {new(ends), func(w *weirtest.World, v *memory.Volume) { w.Must(w.Detach("ends", "", v)) }, []string{"start: manual", "manual"}},
		"unloaded":          {new(ends), func(w *weirtest.World, _ *memory.Volume) { w.Must(w.Unload("ends")) }, []string{"start: filter unload", "filter unload"}},
		"unloaded by force": {new(ends), func(w *weirtest.World, _ *memory.Volume) { w.Must(w.ForceUnload("ends")) }, []string{"start: mandatory unload", "mandatory unload"}},
		"stopped":           {new(ends), func(w *weirtest.World, _ *memory.Volume) { w.Must(w.Stop()) }, []string{"start: shutdown", "shutdown"}},
		"unloaded by force after all, while Setup runs":            {&ends{setUp: waits}, turns(time.Second), []string{"start: mandatory unload", "mandatory unload"}},
		"unloaded by force, and Setup returns when it is too late": {&ends{setUp: waits}, turns(8 * time.Second), []string{"mandatory unload"}},
		"of no use": {&ends{before: weir.OpCreate}, func(w *weirtest.World, v *memory.Volume) {
			w.Want("ends", v, "failed")
			w.Must(w.ForceUnload("ends"))
		}, []string{"internal error"}},
	} {
		t.Run(name, func(t *testing.T) {
			weirtest.Run(t, func(w *weirtest.World) {
				hang = make(chan struct{})
				w.Must(w.Load(c.ends.filter()))
				c.do(w, w.Mount("/data"))
			})
			if !slices.Equal(slices.Compact(c.ends.reasons), c.want) {
				t.Errorf("told %q, want %q", c.ends.reasons, c.want)
			}
		})
	}
}

// A filter that stands where nobody expects one is named when it is registered, whoever watches.
func TestAltitudesOutsideOfGroupsAreWarnedOf(t *testing.T) {
	for altitude, warned := range map[string]bool{"350000": true, "365000": false, "389999.5": false} {
		simulate(t, func(l *log) []*weir.Filter { return []*weir.Filter{spyFilter(l, "f", altitude, nil)} }, func(t *testing.T, b *bench) {
			logged := b.logged.take()
			want := `level=WARN msg="a filter stands outside of all load-order groups" filter=f instance=f altitude=350000`
			if strings.Contains(logged, want) != warned || strings.Contains(logged, "load-order") != warned {
				t.Errorf("%s: the log has\n%s", altitude, logged)
			}
		})
	}
}
