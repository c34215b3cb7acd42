package daemon

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// trigger is a log that calls a function when something is said, before whoever says it goes on.
type trigger struct {
	slog.Handler
	says string
	once *sync.Once
	do   func()
}

func (h trigger) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.says {
		h.once.Do(h.do)
	}
	return h.Handler.Handle(ctx, r)
}

// TestInterruptedAfterAMove takes the source away in the middle of a batch: after a directory was moved in which another
// step had been done, and before the times of directories were set. That the directory has another time then must not
// be taken for right.
func TestInterruptedAfterAMove(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "xfs", "ext4", false) // xfs lists a small directory in the order in which it was filled.
	for _, dir := range []string{"first", "second", "third", "d/sub"} {
		mkdir(t, s.in(dir))
	}
	deaf := &deafPlane{heard: make(chan struct{})}
	s.o.wrapPlane = func(p weir.Plane) weir.Plane { deaf.Plane = p; return deaf }
	s.begin()
	s.alike()

	// The directory gets the times that it has without what has left it, while nobody knows yet that this has.
	deaf.until.Store("heard")
	rename(t, s.in("d/sub"), s.in("first/sub"))
	rename(t, s.in("d"), s.in("second/d"))
	write(t, s.in("heard"), "1")
	<-deaf.heard
	write(t, s.in("second/d/file"), "2")
	s.awaitText(s.at("d/file"), "2")
	s.quiet(10 * time.Second)
	s.end()
	s.o.wrapPlane = nil

	// All this is found in one walk. What is set aside comes last, since it is no directory.
	write(t, s.in("third/file"), "2")
	write(t, s.at("third/file"), "what nobody knows")
	log := new(syncBuffer)
	s.o.Logger = slog.New(trigger{slog.NewTextHandler(log, nil), "set aside", new(sync.Once), func() {
		s.from.Lazy()
		s.await("the source has left", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseSourceAbsent })
		time.Sleep(300 * time.Millisecond) // Until whoever is in the middle of it can know.
	}})
	s.begin()
	s.await("the source has left", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseSourceAbsent })
	if err := s.stop(); err != nil {
		t.Logf("stop: %v", err)
	}
	s.from.Mount()
	if equal, err := comparer.Compare(s.in("second/d"), s.at("second/d"), comparer.Options{}); err != nil || len(equal) == 0 {
		t.Fatalf("it was not interrupted: %v %v\n%s", equal, err, log)
	}

	s.o.Logger = nil
	s.begin()
	s.alike()
	s.end()
}

// deafPlane swallows operations until one is on a certain name, and says nothing of it.
type deafPlane struct {
	weir.Plane
	until atomic.Value // the name; none at first
	heard chan struct{}
}

func (p *deafPlane) Attach(ctx context.Context, volume weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	return p.Plane.Attach(ctx, volume, wants, deafSink{sink, p})
}

type deafSink struct {
	weir.Sink
	p *deafPlane
}

func (s deafSink) Deliver(operations []weir.Operation) {
	name, _ := s.p.until.Load().(string)
	if name == "" {
		s.Sink.Deliver(operations)
		return
	}
	for _, op := range operations {
		if op.Name == name && s.p.until.CompareAndSwap(name, "") {
			close(s.p.heard)
		}
	}
}
