package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

// recording is an instance that remembers its calls. hook runs in Completed.
type recording struct {
	calls []string
	hook  func()
}

func (r *recording) Completed(ops []weir.Operation) {
	for _, op := range ops {
		r.calls = append(r.calls, op.Name)
	}
	if r.hook != nil {
		r.hook()
	}
}
func (r *recording) Lost(string)                                   { r.calls = append(r.calls, "lost") }
func (r *recording) Changed()                                      { r.calls = append(r.calls, "changed") }
func (r *recording) Teardown(context.Context, weir.TeardownReason) {}

func ops(names ...string) (list []weir.Operation) {
	for _, name := range names {
		list = append(list, weir.Operation{Ops: weir.OpCreate, Name: name})
	}
	return list
}

func (r *recording) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(r.calls, " "); got != want {
		t.Errorf("called %q, want %q", got, want)
	}
}

// newInbox has room for three, of one kind.
func newInbox() *inbox {
	b := &inbox{limit: 3, fail: func(string, any) {}, slow: new(slows)}
	b.wants.Store(uint32(weir.OpCreate))
	return b
}

func TestInboxKeepsWhatComesBeforeItOpens(t *testing.T) {
	b, r := newInbox(), new(recording)
	b.deliver(ops("a", "b"))
	b.change()
	b.deliver(ops("c"))
	b.open(r)
	b.deliver(ops("d"))
	r.want(t, "changed a b c d")
}

func TestInboxIsBounded(t *testing.T) {
	b, r := newInbox(), new(recording)
	b.deliver(ops("a", "b"))
	b.deliver(ops("c", "d"))
	b.deliver(ops("e"))
	b.open(r)
	b.deliver(ops("f"))
	r.want(t, "lost f")
}

func TestInboxCopiesWhatItKeeps(t *testing.T) {
	b, r := newInbox(), new(recording)
	plane := ops("a")
	b.deliver(plane)
	plane[0].Name = "overwritten"
	b.open(r)
	r.want(t, "a")
}

func TestInboxIsEnteredOnce(t *testing.T) {
	b, r := newInbox(), new(recording)
	b.open(r)
	r.hook = func() {
		r.hook = nil
		b.deliver(ops("b")) // finds somebody inside, and leaves
		b.lose("overflow")
		r.want(t, "a")
	}
	b.deliver(ops("a"))
	r.want(t, "a lost")
}

func TestInboxIsClosed(t *testing.T) {
	b, r := newInbox(), new(recording)
	b.open(r)
	inside, goOn := make(chan struct{}), make(chan struct{})
	r.hook = func() { close(inside); <-goOn }
	go b.deliver(ops("a"))
	<-inside
	select {
	case <-b.close():
		t.Error("closed while somebody was inside")
	case <-time.After(10 * time.Millisecond):
	}
	close(goOn)
	<-b.close()
	b.deliver(ops("late"))
	b.lose("late")
	r.want(t, "a")

	never := newInbox()
	never.deliver(ops("a"))
	<-never.close()
	late := new(recording)
	never.open(late)
	late.want(t, "")
}

// TestPanicsInCallbacksAreLosses has each callback panic once: the instance is told that it has to look everywhere, and goes on.
func TestPanicsInCallbacksAreLosses(t *testing.T) {
	b, r := newInbox(), new(panicking)
	var failed []string
	b.fail = func(callback string, p any) { failed = append(failed, fmt.Sprint(callback, ": ", p)) }
	b.open(r)
	b.deliver(ops("a", "b"))
	b.deliver(ops("c"))
	b.change()
	b.deliver(ops("d"))
	r.want(t, "a b lost c changed lost d")
	if got, want := strings.Join(failed, ", "), "Completed: a, Lost: a panic in Completed, Changed: changed"; got != want {
		t.Errorf("told of %q, want %q", got, want)
	}
	<-b.close()
}

// panicking panics the first time in each callback, after the call was noted.
type panicking struct {
	recording
	completed, lost, changed sync.Once
}

func (p *panicking) Completed(ops []weir.Operation) {
	p.recording.Completed(ops)
	p.completed.Do(func() { panic(ops[0].Name) })
}

func (p *panicking) Lost(reason string) {
	p.recording.Lost(reason)
	p.lost.Do(func() { panic(reason) })
}

func (p *panicking) Changed() {
	p.recording.Changed()
	p.changed.Do(func() { panic("changed") })
}
