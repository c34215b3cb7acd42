package activity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/activity"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
)

// bench is a monitor on volumes in memory.
type bench struct {
	*manager.Manager
	t         *testing.T
	discovery memory.Discovery
	volume    *memory.Volume // number 1, at /m
}

func begin(t *testing.T) *bench {
	t.Helper()
	return beginWith(t, activity.New().Filter())
}

func beginWith(t *testing.T, f *weir.Filter) *bench {
	t.Helper()
	b := &bench{t: t}
	var err error
	b.Manager, err = manager.New(manager.Options{
		Discovery: &b.discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: []*weir.Filter{f},
		Verify: &verify.Options{Actions: verify.Actions{"context-kind": verify.Remove}},
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { must(t, b.Run(ctx)) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	b.volume = b.mount(1, "/m")
	return b
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func (b *bench) mount(id weir.VolumeID, point string) *memory.Volume {
	b.t.Helper()
	v := memory.NewVolume(id, point)
	b.discovery.Mount(v)
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	must(b.t, b.Wait(ctx, func(s manager.Snapshot) bool { return s.Slot(activity.Name, id) != nil && s.Settled() }))
	return v
}

// pipe is both ends of a port: what the filter sends is taken out of to, which keeps nothing. The program closes gone.
type pipe struct {
	from, to chan []byte
	gone     chan struct{}
}

func newPipe() pipe { return pipe{make(chan []byte), make(chan []byte), make(chan struct{})} }

func (p pipe) Send(ctx context.Context, message []byte) error {
	select {
	case p.to <- message:
		return nil
	case <-p.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p pipe) Receive(ctx context.Context) ([]byte, error) {
	select {
	case message := <-p.from:
		return message, nil
	case <-p.gone:
		return nil, errGone
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// watcher is a program that watches.
type watcher struct {
	pipe
	t       *testing.T
	events  []activity.Event
	dropped uint64
	unsure  uint64
	notes   []string
	end     activity.Message
	now     activity.Watching
	hangUp  func()
	ended   chan error
}

func (b *bench) watch(r activity.Request) *watcher {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	b.t.Cleanup(cancel)
	place, err := b.Connect(ctx, activity.Name, weir.Peer{PID: os.Getpid()})
	must(b.t, err)
	w := &watcher{pipe: newPipe(), t: b.t, ended: make(chan error, 1)}
	w.hangUp = func() {
		close(w.gone)
		must(w.t, <-w.ended)
	}
	go func() {
		defer cancel()
		w.ended <- place.Talk(w.pipe)
	}()
	text, err := json.Marshal(r)
	must(b.t, err)
	w.from <- text
	first := w.next()
	if first.Watching == nil {
		b.t.Fatalf("the first message is %+v", first)
	}
	w.now = *first.Watching
	return w
}

// next takes one message.
func (w *watcher) next() (m activity.Message) {
	w.t.Helper()
	select {
	case text := <-w.to:
		must(w.t, json.Unmarshal(text, &m))
	case <-time.After(10 * time.Second):
		w.t.Fatalf("told so far: %s; nothing more comes", w.lines())
	}
	w.events = append(w.events, m.Events...)
	w.notes = append(w.notes, m.Notes...)
	if m.Dropped > 0 {
		w.dropped = m.Dropped
	}
	w.unsure = max(w.unsure, m.Undecided)
	if m.End != "" {
		w.end = m
	}
	return m
}

func (w *watcher) lines() string {
	var lines []string
	for _, e := range w.events {
		line := fmt.Sprintf("%s %s", e.Ops, e.Path)
		if e.To != "" {
			line += " to " + e.To
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// wants takes messages until these lines have been told, and nothing else.
func (w *watcher) wants(lines ...string) {
	w.t.Helper()
	for len(w.events) < len(lines) {
		w.next()
	}
	if got, want := w.lines(), strings.Join(lines, "\n"); got != want {
		w.t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
	w.events = nil
}
