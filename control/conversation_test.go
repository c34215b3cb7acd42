package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
)

// withPort makes a bench with a filter whose port is served by serve, for two programs.
func withPort(t *testing.T, serve func(ctx context.Context, peer weir.Peer, port weir.Port) error) *bench {
	t.Helper()
	f := filter("low", "100", everywhere)
	f.Connect, f.Connections = serve, 2
	return begin(t, f, filter("mute", "200", everywhere))
}

func talk(t *testing.T, b *bench) *Conversation {
	t.Helper()
	c, err := b.Client.Connect(t.Context(), "low", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { report(t, c.Close()) })
	return c
}

func TestMessagesGoBothWays(t *testing.T) {
	b := withPort(t, func(ctx context.Context, peer weir.Peer, port weir.Port) error {
		if peer.PID != os.Getpid() || peer.UID != uint32(os.Geteuid()) {
			t.Errorf("the peer is %+v", peer)
		}
		for {
			message, err := port.Receive(ctx)
			if err == nil && string(message) == "end" {
				return port.Send(ctx, []byte("the last word"))
			}
			if err == nil {
				err = port.Send(ctx, message)
			}
			if err != nil {
				return err
			}
		}
	})
	c := talk(t, b)
	for _, message := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte{7}, weir.MaxMessage)} {
		report(t, c.Send(t.Context(), message))
		got, err := c.Receive(t.Context())
		if err != nil || !bytes.Equal(got, message) {
			t.Errorf("sent %d bytes, got %d back, %v", len(message), len(got), err)
		}
	}
	if err := c.Send(t.Context(), make([]byte, weir.MaxMessage+1)); weir.KindOf(err) != weir.KindRefused {
		t.Errorf("sent a message that is too large: %v", err)
	}
	report(t, c.Send(t.Context(), []byte("end")))
	if got, err := c.Receive(t.Context()); string(got) != "the last word" {
		t.Errorf("at the end: %q, %v", got, err)
	}
	if _, err := c.Receive(t.Context()); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("after the end: %v", err)
	}
}

// TestStalledProgram reads nothing: sending ends with its context, which is no failure, and nothing is torn.
func TestStalledProgram(t *testing.T) {
	sent := make(chan int, 1)
	message := bytes.Repeat([]byte("x"), 1<<16)
	b := withPort(t, func(ctx context.Context, _ weir.Peer, port weir.Port) error {
		for n := 0; ; n++ {
			bounded, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			err := port.Send(bounded, message)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				sent <- n
				<-ctx.Done()
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	c := talk(t, b)
	n := <-sent
	if n == 0 || n > 100 {
		t.Errorf("%d messages were sent to a program that reads none", n)
	}
	for range n {
		if got, err := c.Receive(t.Context()); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	begun := time.Now()
	report(t, b.Manager.Unload(t.Context(), "low", false, ""))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the unloading took %v", took)
	}
	if _, err := c.Receive(t.Context()); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("after the filter was unloaded: %v", err)
	}
}

// TestStalledProgramKeepsNobody has a filter unloaded while its last message cannot be written.
func TestStalledProgramKeepsNobody(t *testing.T) {
	full := make(chan struct{})
	b := withPort(t, func(ctx context.Context, _ weir.Peer, port weir.Port) error {
		for {
			bounded, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			err := port.Send(bounded, make([]byte, weir.MaxMessage))
			cancel()
			if err != nil {
				close(full)
				<-ctx.Done()
				return err
			}
		}
	})
	talk(t, b)
	<-full
	begun := time.Now()
	report(t, b.Manager.Unload(t.Context(), "low", false, ""))
	if took := time.Since(begun); took > 2*lastWords {
		t.Errorf("the unloading took %v", took)
	}
}

func TestConnectionsAreRefused(t *testing.T) {
	b := withPort(t, func(ctx context.Context, _ weir.Peer, _ weir.Port) error {
		<-ctx.Done()
		return nil
	})
	talk(t, b)
	talk(t, b)
	for _, tt := range []struct {
		name string
		load bool
		kind weir.Kind
		why  string
	}{
		{"low", false, weir.KindRefused, "2 programs are connected already"},
		{"mute", false, weir.KindRefused, "it has no port"},
		{"nothing", false, weir.KindAbsent, "no such filter"},
		{"nothing", true, weir.KindRefused, "load spare"},
		{"spare", true, weir.KindRefused, "it has no port"},
	} {
		if _, err := b.Client.Connect(t.Context(), tt.name, tt.load); weir.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.why)
		}
	}
	b.fails(weir.KindRefused, http.MethodPost, "/v1/filters/low/port", nil)
	b.fails(weir.KindRefused, http.MethodPost, "/v1/filters/low/port?load=maybe", nil)
}

// TestWhoMayConnect has a filter admit this process, and then not: who asks is told in words, and so is the operator.
func TestWhoMayConnect(t *testing.T) {
	f := filter("low", "100", everywhere)
	var asked atomic.Pointer[weir.Peer]
	var closed atomic.Bool
	f.Connections = 1
	f.Admit = func(peer weir.Peer) error {
		asked.Store(&peer)
		if closed.Load() {
			return errors.New("the counter is closed")
		}
		return nil
	}
	f.Connect = func(ctx context.Context, _ weir.Peer, port weir.Port) error {
		_, err := port.Receive(ctx)
		return err
	}
	b := begin(t, f)
	self := weir.Peer{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	closed.Store(true)
	const want = "connect to filter low: the filter does not admit the program, process %d of user %d: the counter is closed; the filter decides who may"
	for range 3 { // None of them takes the only place.
		_, err := b.Client.Connect(t.Context(), "low", false)
		if err == nil || err.Error() != fmt.Sprintf(want, self.PID, self.UID) || weir.KindOf(err) != weir.KindRefused {
			t.Errorf("error %v", err)
		}
	}
	if peer := asked.Load(); peer == nil || *peer != self {
		t.Errorf("asked about %+v, this is %+v", peer, self)
	}
	answer, err := b.Client.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	r, err := newRequest(t.Context(), http.MethodPost, "/v1/filters/low/port", nil, portProtocol)
	report(t, errors.Join(err, r.Write(answer)))
	if got, err := http.ReadResponse(bufio.NewReader(answer), r); err != nil || got.StatusCode != http.StatusForbidden {
		t.Errorf("answered %+v, %v", got, err)
	}
	if log := b.logged.String(); !strings.Contains(log, "asked to connect to filter") || !strings.Contains(log, "the counter is closed") {
		t.Errorf("logged %s", log)
	}
	closed.Store(false)
	talk(t, b)
}

// TestPlaceIsFreeAgain comes and goes more often than there are places.
func TestPlaceIsFreeAgain(t *testing.T) {
	b := withPort(t, func(ctx context.Context, _ weir.Peer, port weir.Port) error {
		_, err := port.Receive(ctx)
		return err
	})
	for range 10 {
		b.await(func(manager.Snapshot) bool {
			c, err := b.Client.Connect(t.Context(), "low", false)
			return err == nil && c.Close() == nil
		})
	}
}

// TestOddMessages are those that nobody who follows the rules sends.
func TestOddMessages(t *testing.T) {
	for _, odd := range [][]byte{binary.BigEndian.AppendUint32(nil, weir.MaxMessage+1), {0, 0, 0, 9, 'a'}, {0}} {
		here, there := net.Pipe()
		c := converse(here)
		go func() {
			_, _ = there.Write(odd)
			_ = there.Close()
		}()
		if got, err := c.Receive(t.Context()); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("%q: %q, %v", odd, got, err)
		}
		report(t, errors.Join(c.Close(), c.Close()))
	}
}
