package fanotify

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/planetest"
)

// blocked is a sink that does not return from its first call until it is let go.
type blocked struct {
	*planetest.Sink
	once sync.Once
	goOn chan struct{}
}

func (b *blocked) Deliver(ops []weir.Operation) {
	b.once.Do(func() { <-b.goOn })
	b.Sink.Deliver(ops)
}

// A queue that overflows is told as a loss, to every sharer, and what comes later is told again.
func TestOverflowIsTold(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{Groups: 1})
	v, w := newReal(t, i, "tmpfs"), newReal(t, i, "tmpfs")
	s := &blocked{Sink: planetest.NewSink(), goOn: make(chan struct{})}
	if _, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, s); err != nil {
		t.Fatal(err)
	}
	r, _ := attach(t, p, w)
	for k := range 17000 { // a queue has room for 16,384
		must(t, v.Create(fmt.Sprint(k)))
		if k == 0 {
			time.Sleep(10 * time.Millisecond) // the reader is in the sink from here on
		}
	}
	close(s.goOn)
	for _, sink := range []*planetest.Sink{s.Sink, r} {
		sink.Until(t, "the loss", func() bool {
			lost := sink.Losses()
			return len(lost) > 0 && strings.Contains(lost[0], "overflow")
		})
	}
	must(t, v.Create("after"), w.Create("after too"))
	s.Wait(t, "a file after the overflow", named("after"))
	r.Wait(t, "a file after the overflow", named("after too"))
}
