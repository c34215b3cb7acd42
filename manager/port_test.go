package manager_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
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
	c, err := b.Connect(ctx, "f", weir.Peer{PID: pid})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		defer cancel()
		result <- c.Talk(nil)
	}()
	synctest.Wait()
	return cancel, result
}

func refusesToConnect(t *testing.T, b *bench, name string, kind weir.Kind, why string) {
	t.Helper()
	if _, err := b.Connect(t.Context(), name, weir.Peer{}); weir.KindOf(err) != kind || !strings.Contains(err.Error(), why) {
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

// A place is given back when the conversation ends, and by an unloading, whatever becomes of the context that it was taken with.
func TestPlacesAreGivenBack(t *testing.T) {
	for _, mandatory := range []bool{false, true} {
		withFilters(t, talker(0), func(t *testing.T, b *bench, _ *memory.Volume) {
			forever := context.Background()
			for range 5 { // of two places: a conversation that ends gives its own back
				place, err := b.Connect(forever, "f", weir.Peer{PID: 99})
				check(t, err)
				if place.Talk(nil) == nil {
					t.Error("no panic")
				}
				if err := place.Talk(nil); weir.KindOf(err) != weir.KindAbsent {
					t.Errorf("it talks again: %v", err)
				}
			}
			talks, err := b.Connect(forever, "f", weir.Peer{PID: 1})
			check(t, err)
			silent, err := b.Connect(forever, "f", weir.Peer{PID: 2})
			check(t, err)
			refusesToConnect(t, b, "f", weir.KindRefused, "2 programs are connected already")
			ended := make(chan error, 1)
			go func() { ended <- talks.Talk(nil) }()
			b.want(t, "connected 1")
			began := time.Now()
			check(t, b.Unload(forever, "f", mandatory, "somebody"))
			if took := time.Since(began); took != 0 {
				t.Errorf("unloaded after %v", took)
			}
			check(t, <-ended)
			if err := silent.Talk(nil); weir.KindOf(err) != weir.KindAbsent {
				t.Errorf("it talks to a filter that has been unloaded: %v", err)
			}
		})
	}
}

// A program that goes while the filter still serves it keeps its place until the filter returns.
func TestPlaceOfWhoHasGoneIsKept(t *testing.T) {
	withFilters(t, talker(time.Hour), func(t *testing.T, b *bench, _ *memory.Volume) {
		hangUp, ended := b.connect(t, 1)
		hangUp()
		began := time.Now()
		check(t, b.Unload(t.Context(), "f", false, ""))
		if took := time.Since(began); took != time.Hour {
			t.Errorf("unloaded after %v", took)
		}
		check(t, <-ended)
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

// TestWhoMayConnect asks the filter before a place is taken, whatever its answer.
func TestWhoMayConnect(t *testing.T) {
	filters := func(l *log) []*weir.Filter {
		list := talker(0)(l)
		list[0].Connections = 1
		list[0].Admit = func(peer weir.Peer) error {
			switch peer.PID {
			case 1:
				return nil
			case 2:
				panic("no such peer")
			case 3:
				time.Sleep(time.Hour)
			}
			return errors.New("only the first may")
		}
		return list
	}
	withFilters(t, filters, func(t *testing.T, b *bench, _ *memory.Volume) {
		for _, tt := range []struct {
			peer weir.Peer
			want string
		}{
			{weir.Peer{PID: 7, UID: 12}, "connect to filter f: the filter does not admit the program, process 7 of user 12: only the first may; the filter decides who may"},
			{weir.Peer{PID: 2}, "process 2 of user 0: panic in Admit of filter f: no such peer; the filter decides who may"},
			{weir.Peer{PID: 3}, "process 3 of user 0: it has not returned, and is not waited for any more; the filter decides who may"},
		} {
			begun := time.Now()
			_, err := b.Connect(t.Context(), "f", tt.peer)
			if !errors.Is(err, manager.ErrNotAdmitted) || weir.KindOf(err) != weir.KindRefused || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("%+v: %v, want %s", tt.peer, err, tt.want)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("%+v: it took %v", tt.peer, took)
			}
		}
		b.connect(t, 1)
		b.want(t, "connected 1")
		refusesToConnect(t, b, "f", weir.KindRefused, "only the first may")
		time.Sleep(2 * time.Hour)
	})
}
