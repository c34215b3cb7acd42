package manager_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// log collects what filters are told, in order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// Write adds a line.
func (l *log) Write(line []byte) (int, error) {
	l.add("%s", strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// take returns the lines so far and forgets them.
func (l *log) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(l.lines, "\n")
	l.lines = nil
	return text
}

// spy is an instance that writes a log.
type spy struct {
	log  *log
	name string
}

func (s *spy) Completed(ops []weir.Operation) {
	for _, op := range ops {
		s.log.add("%s: %s %s", s.name, op.Ops, op.Name)
	}
}
func (s *spy) Lost(reason string) { s.log.add("%s: lost: %s", s.name, reason) }
func (s *spy) Changed()           { s.log.add("%s: changed", s.name) }
func (s *spy) Teardown(_ context.Context, reason weir.TeardownReason) {
	s.log.add("%s: teardown %d", s.name, reason)
}

// spyFilter is a filter of spies. before runs in Setup.
func spyFilter(l *log, name, altitude string, before func(context.Context, weir.Volume) error) *weir.Filter {
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude(altitude), Wants: weir.OpCreate | weir.OpModify,
		Setup: func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			v := site.Volume
			if before != nil {
				if err := before(ctx, v); err != nil {
					l.add("%s@%d: %v", name, v.ID(), err)
					return nil, err
				}
			}
			l.add("%s@%d: setup %d", name, v.ID(), site.Reason)
			return &spy{l, fmt.Sprintf("%s@%d", name, v.ID())}, nil
		},
	}
}

// bench is a manager over volumes in memory.
type bench struct {
	*manager.Manager
	log       log
	logged    log // what the operator is told
	discovery memory.Discovery
	plane     memory.Plane
	stop      context.CancelFunc
	ended     chan error
}

// simulate runs test with a running manager in a bubble of its own time.
func simulate(t *testing.T, filters func(*log) []*weir.Filter, test func(*testing.T, *bench)) {
	t.Helper()
	simulateWith(t, filters, func(*manager.Options) {}, test)
}

// simulateWith is simulate with other options.
func simulateWith(t *testing.T, filters func(*log) []*weir.Filter, change func(*manager.Options), test func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{ended: make(chan error, 1)}
		o := manager.Options{
			Discovery: &b.discovery, Planes: []weir.Plane{&b.plane}, Filters: filters(&b.log),
			Logger: slog.New(slog.NewTextHandler(&b.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		change(&o)
		m, err := manager.New(o)
		if err != nil {
			t.Fatal(err)
		}
		b.Manager = m
		ctx, stop := context.WithCancel(t.Context())
		b.stop = stop
		go func() { b.ended <- m.Run(ctx) }()
		synctest.Wait()
		test(t, b)
		stop()
		synctest.Wait()
	})
}

func (b *bench) mount(id weir.VolumeID) *memory.Volume {
	v := memory.NewVolume(id, fmt.Sprint("/mnt/", id))
	b.discovery.Mount(v)
	return v
}

// want waits until nothing moves and compares the log.
func (b *bench) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	if got, want := b.log.take(), strings.Join(lines, "\n"); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
}

// wantAnyOrder is want for what several goroutines tell. lines are sorted.
func (b *bench) wantAnyOrder(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	got := strings.Split(b.log.take(), "\n")
	slices.Sort(got)
	if !slices.Equal(got, lines) {
		t.Errorf("told:\n%s\nwant in any order:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func (b *bench) wantState(t *testing.T, filter string, id weir.VolumeID, want string) {
	t.Helper()
	synctest.Wait()
	got := "none"
	if slot := b.Snapshot().Slot(filter, id); slot != nil {
		got = slot.State.String()
	}
	if got != want {
		t.Errorf("slot of %s on %d is %s, want %s", filter, id, got, want)
	}
}
