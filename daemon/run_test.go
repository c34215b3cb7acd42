package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// running is a mirror that a test has started.
type running struct {
	t      testing.TB
	m      *Mirror
	cancel context.CancelFunc
	done   chan error
	log    *syncBuffer
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct{ voltest.Output }

func (b *syncBuffer) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`msg="place was compared"`)) {
		return len(p), nil // Of volumes that are scanned there is no end of it.
	}
	return b.Output.Write(p)
}

// String returns the end of the log.
func (b *syncBuffer) String() string {
	lines := strings.Split(b.Output.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// start opens and runs a mirror.
func start(t testing.TB, o Options) *running {
	t.Helper()
	r := &running{t: t, done: make(chan error, 1), log: new(syncBuffer)}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	m, err := Open(ctx, o)
	if err != nil {
		cancel()
		t.Fatalf("open: %v", err)
	}
	r.m = m
	go func() { r.done <- m.Run(ctx, false) }()
	return r
}

// stop ends the mirror as SIGTERM would.
func (r *running) stop() error {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if closeErr := r.m.Close(); closeErr != nil {
			r.t.Errorf("close: %v", closeErr)
		}
		return err
	case <-time.After(20 * time.Second):
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		r.t.Fatalf("the mirror does not end\n%s\n%s", r.log, stacks)
		return nil
	}
}

// quiet waits until the mirror says that all is done.
func (r *running) quiet(patience time.Duration) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		settled, failed := r.m.replicator.Settled()
		if settled && len(failed) == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not settled after %v: failed %v\n%+v\n%s", patience, failed, r.m.Status(), r.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// equal waits until the replica equals the source.
func (r *running) equal(source, target string) {
	r.t.Helper()
	r.equalBut(source, target, nil)
}

// equalBut is equal without the paths that skip names.
func (r *running) equalBut(source, target string, skip func(path string) bool) {
	r.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		found, err := comparer.Compare(source, target, comparer.Options{Skip: skip})
		if err == nil && len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, d := range found[:min(len(found), 40)] {
				r.t.Errorf("differs: %v", d)
			}
			r.t.Fatalf("not equal (compare: %v)\n%+v\n%s", err, r.m.Status(), r.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
