package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/activity"
	"github.com/weirfs/weir/manager"
)

// TestFilterIsLent connects and parts in different orders.
func TestFilterIsLent(t *testing.T) {
	s := newScene(t, "tmpfs", "tmpfs", false)
	s.begin()
	defer s.end()
	c := controlled{s.m.manager, s.m}
	connect := func(load bool) (part func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		if _, err := c.Connect(ctx, activity.Name, weir.Peer{}, load); err != nil {
			t.Fatal(err)
		}
		return cancel
	}
	loaded := func(want bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Wait(ctx, func(s manager.Snapshot) bool { return (s.Filter(activity.Name) != nil) == want }); err != nil {
			t.Fatalf("loaded is not %t", want)
		}
	}
	if _, err := c.Connect(t.Context(), activity.Name, weir.Peer{}, false); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("connected to what is not loaded: %v", err)
	}
	if _, err := c.Connect(t.Context(), "nothing", weir.Peer{}, true); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), "it has replicate, activity") {
		t.Errorf("connected to what there is not: %v", err)
	}
	first, second, third := connect(true), connect(true), connect(false)
	first()
	third()
	loaded(true)
	if err := c.Load(activity.Name, nil); err == nil {
		t.Error("loaded twice")
	}
	second()
	loaded(false)
	for range 20 { // One comes while the filter goes.
		connect(true)()
	}
	loaded(false)
	if err := c.Load(activity.Name, nil); err != nil {
		t.Fatal(err)
	}
	connect(true)()
	time.Sleep(100 * time.Millisecond)
	loaded(true)

	// One that refuses to be unloaded goes with the last all the same.
	if err := c.Unload(t.Context(), activity.Name, false, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	place, err := c.Connect(ctx, activity.Name, weir.Peer{}, true)
	if err != nil {
		t.Fatal(err)
	}
	port := &watching{told: make(chan struct{}, 1)}
	go func() { _ = place.Talk(port) }()
	<-port.told
	if err := c.Unload(t.Context(), activity.Name, false, ""); weir.KindOf(err) != weir.KindRefused {
		t.Errorf("unloaded while somebody watches: %v", err)
	}
	cancel()
	loaded(false)
	if err := c.Load(activity.Name, nil); err != nil {
		t.Fatal(err)
	}

	// Who unloads it by hand, and loads it again, has it for good.
	unload := func() {
		t.Helper()
		if err := c.Unload(t.Context(), activity.Name, true, ""); err != nil {
			t.Fatal(err)
		}
	}
	unload()
	last := connect(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		unload()
	}()
	loaded(false)
	if err := c.Load(activity.Name, nil); err != nil {
		t.Fatal(err)
	}
	last()
	<-ended
	time.Sleep(100 * time.Millisecond)
	loaded(true)
}

// watching is the port of a program that watches everything, from its first question on.
type watching struct {
	asked bool
	told  chan struct{}
}

func (w *watching) Receive(ctx context.Context) ([]byte, error) {
	if !w.asked {
		w.asked = true
		return []byte("{}"), nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (w *watching) Send(context.Context, []byte) error {
	select {
	case w.told <- struct{}{}:
	default:
	}
	return nil
}
