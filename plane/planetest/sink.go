package planetest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

// Sink records what it is told. It is safe for concurrent use.
type Sink struct {
	slow time.Duration
	hook func()

	inside  atomic.Int32
	overlap atomic.Bool // two goroutines were in the sink at once
	ended   atomic.Bool
	late    atomic.Bool // a call came after the end

	mu   sync.Mutex
	ops  []weir.Operation
	lost []string
	news chan struct{} // closed and replaced at each call
}

// NewSink returns an empty sink.
func NewSink() *Sink { return &Sink{news: make(chan struct{})} }

func (s *Sink) call(record func()) {
	if s.inside.Add(1) > 1 {
		s.overlap.Store(true)
	}
	defer s.inside.Add(-1)
	if s.ended.Load() {
		s.late.Store(true)
	}
	if s.hook != nil {
		s.hook()
	}
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	record()
	close(s.news)
	s.news = make(chan struct{})
}

// Deliver implements weir.Sink.
func (s *Sink) Deliver(ops []weir.Operation) {
	s.call(func() { s.ops = append(s.ops, ops...) })
}

// Lost implements weir.Sink.
func (s *Sink) Lost(reason string) {
	s.call(func() { s.lost = append(s.lost, reason) })
}

// end says that no call may follow.
func (s *Sink) end() { s.ended.Store(true) }

// check fails the test if calls overlapped, or came after the end.
func (s *Sink) check(t *testing.T) {
	t.Helper()
	if s.overlap.Load() {
		t.Error("two goroutines called the sink at once")
	}
	if s.late.Load() {
		t.Error("the sink was called after the attachment had ended")
	}
}

// Operations returns what has been told so far.
func (s *Sink) Operations() []weir.Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ops)
}

// Losses returns the reasons of the losses so far.
func (s *Sink) Losses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lost)
}

// Has tells whether an operation on the name has been told.
func (s *Sink) Has(name string) bool {
	return slices.ContainsFunc(s.Operations(), func(op weir.Operation) bool { return op.Name == name })
}

// Until waits until holds returns true, which it is asked after each call, and fails the test if that
// takes too long.
func (s *Sink) Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("not told: %s; told: %+v, lost: %q", what, s.Operations(), s.Losses())
		}
	}
}

// Wait waits for an operation.
func (s *Sink) Wait(t testing.TB, what string, is func(weir.Operation) bool) {
	t.Helper()
	s.Until(t, what, func() bool { return slices.ContainsFunc(s.Operations(), is) })
}

// Want waits until every operation of want.Ops has been told of the entry, in one or in several.
func (s *Sink) Want(t testing.TB, want weir.Operation) {
	t.Helper()
	s.Until(t, want.Ops.String()+" of "+weir.QuotePath(want.Name), func() bool {
		var seen weir.Ops
		for _, op := range s.Operations() {
			same := op.Dir == want.Dir && op.Name == want.Name && op.IsDir == want.IsDir
			if same && (want.Ops&weir.OpRename == 0 || op.NewDir == want.NewDir && op.NewName == want.NewName) {
				seen |= op.Ops
			}
		}
		return seen&want.Ops == want.Ops
	})
}
