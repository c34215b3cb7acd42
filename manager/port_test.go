package manager_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// talker has a port that serves until its context ends, and then as long as stay says.
func talker(stay time.Duration) func(*log) []*weir.Filter {
	return func(l *log) []*weir.Filter {
		f := spyFilter(l, "f", "100", nil)
		f.Connections = 2
		f.Connect = func(ctx context.Context, peer weir.Peer, _ weir.Port) error {
			if peer.PID == 99 {
				panic("no such peer")
			}
			l.add("connected %d", peer.PID)
			<-ctx.Done()
			time.Sleep(stay)
			l.add("disconnected %d", peer.PID)
			return nil
		}
		return []*weir.Filter{f, spyFilter(l, "mute", "200", nil)}
	}
}

// connect has a program talk to f. hangUp ends that from the program's side; the error comes when it has ended.
func (b *bench) connect(t *testing.T, pid int) (hangUp func(), ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := b.Connect(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		defer cancel()
		result <- c.Talk(weir.Peer{PID: pid}, nil)
	}()
	synctest.Wait()
	return cancel, result
}

func refusesToConnect(t *testing.T, b *bench, name string, kind weir.Kind, why string) {
	t.Helper()
	if _, err := b.Connect(t.Context(), name); weir.KindOf(err) != kind || !strings.Contains(err.Error(), why) {
		t.Errorf("connect to %s: %v, want %q", name, err, why)
	}
}

func TestConversations(t *testing.T) {
	withFilters(t, talker(0), func(t *testing.T, b *bench, _ *memory.Volume) {
		refusesToConnect(t, b, "nothing", weir.KindAbsent, "no such filter")
		refusesToConnect(t, b, "mute", weir.KindRefused, "it has no port")
		one, _ := b.connect(t, 1)
		b.connect(t, 2)
		b.want(t, "connected 1", "connected 2")
		refusesToConnect(t, b, "f", weir.KindRefused, "2 programs are connected already")
		one()
		b.want(t, "disconnected 1")
		_, ended := b.connect(t, 99)
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "panic in Connect of filter f: no such peer") {
			t.Errorf("error %v", err)
		}
		b.connect(t, 3)
		b.want(t, "connected 3")
		check(t, b.Unload(t.Context(), "f", false, ""))
		b.wantAnyOrder(t, "disconnected 2", "disconnected 3", "f@1: teardown 2")
		refusesToConnect(t, b, "f", weir.KindAbsent, "no such filter")
	})
}

// TestConversationThatDoesNotEnd keeps an unloading, but not a mandatory one.
func TestConversationThatDoesNotEnd(t *testing.T) {
	withFilters(t, talker(time.Hour), func(t *testing.T, b *bench, _ *memory.Volume) {
		b.connect(t, 1)
		b.want(t, "connected 1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.Unload(ctx, "f", false, "")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "conversations with programs: 1") {
			t.Errorf("error %v", err)
		}
		b.want(t, "f@1: teardown 2")
		time.Sleep(2 * time.Hour)
		b.want(t, "disconnected 1")
	})
	withFilters(t, talker(time.Hour), func(t *testing.T, b *bench, _ *memory.Volume) {
		_, ended := b.connect(t, 1)
		begun := time.Now()
		check(t, b.Unload(t.Context(), "f", true, ""))
		if took := time.Since(begun); took > 5*time.Second || <-ended == nil {
			t.Errorf("a mandatory unloading took %v", took)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestShutdownEndsConversations(t *testing.T) {
	withFilters(t, talker(0), func(t *testing.T, b *bench, _ *memory.Volume) {
		_, ended := b.connect(t, 1)
		b.stop()
		check(t, <-ended)
	})
}

func TestPortNeedsAPlace(t *testing.T) {
	withFilters(t, talker(0), func(t *testing.T, b *bench, _ *memory.Volume) {
		f := talker(0)(&b.log)[0]
		f.Name, f.Altitude, f.Connections = "g", weir.MustAltitude("1"), 0
		if err := b.Start(f); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), "no place") {
			t.Errorf("error %v", err)
		}
	})
}
