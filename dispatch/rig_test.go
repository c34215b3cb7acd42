package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

// script is an instance that does as it is told. Nil callbacks let operations go on.
type script struct {
	recording
	pre      func(ctx context.Context, c weir.Call) weir.PreStatus
	post     func(ctx context.Context, c weir.Call) weir.PostStatus
	start    func()
	teardown func(context.Context)
}

func (s *script) Pre(ctx context.Context, c weir.Call) weir.PreStatus {
	if s.pre == nil {
		return weir.PreContinue
	}
	return s.pre(ctx, c)
}

func (s *script) Post(ctx context.Context, c weir.Call) weir.PostStatus {
	if s.post == nil {
		return weir.PostFinished
	}
	return s.post(ctx, c)
}

func (s *script) TeardownStart(weir.TeardownReason) {
	if s.start != nil {
		s.start()
	}
}

func (s *script) Teardown(ctx context.Context, _ weir.TeardownReason) {
	if s.teardown != nil {
		s.teardown(ctx)
	}
}

// rig is a stack under test, and what it logs.
type rig struct {
	*Stack
	logger voltest.Output
	twins  map[weir.VolumeID]*Instance
}

func newRig() *rig { return &rig{Stack: NewStack(new(Pool)), twins: map[weir.VolumeID]*Instance{}} }

// instance puts an open instance into the stack.
func (r *rig) instance(altitude string, before, after weir.Ops, callback weir.Instance) *Instance {
	in := NewInstance(Site{
		Filter: &weir.Filter{
			Name: "f" + altitude, Altitude: weir.MustAltitude(altitude), Before: before, After: after, Wants: weir.OpCreate,
			Contexts: []weir.ContextKind{weir.ContextVolume, weir.ContextInstance, weir.ContextFile, weir.ContextOpen},
		},
		Definition: weir.Definition{Name: "f" + altitude, Altitude: weir.MustAltitude(altitude)},
		Volume:     1, Stack: r.Stack, Shared: NewContexts("shared", slog.New(slog.NewTextHandler(&r.logger, nil))), Inbox: 10,
		Twin: func(v weir.VolumeID) *Instance { return r.twins[v] }, Logger: slog.New(slog.NewTextHandler(&r.logger, nil)),
	})
	r.Add(in)
	in.Open(callback)
	in.Begin()
	return in
}

// patient waits for as long as it takes.
func patient() Patience {
	return Patience{time.Hour, time.Hour, context.Background(), make(chan struct{})}
}

func (r *rig) end(in *Instance, p Patience) {
	r.Remove(in)
	in.TearDown(p, in.callback, weir.TeardownManual)
}

// lower carries out operations by a function.
type lower func(context.Context, *weir.Parameters) weir.Result

func (l lower) Do(ctx context.Context, p *weir.Parameters) weir.Result { return l(ctx, p) }

// trace notes what operations meet.
type trace struct {
	mu   sync.Mutex
	list []string
}

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, fmt.Sprintf(format, args...))
}

func (t *trace) want(tb testing.TB, want string) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if got := strings.Join(t.list, ", "); got != want {
		tb.Errorf("met %s; want %s", got, want)
	}
	t.list = nil
}

// lower notes that an operation has come to the volume.
func (t *trace) lower() weir.Lower {
	return lower(func(_ context.Context, p *weir.Parameters) weir.Result {
		t.add("volume %s", p.Name)
		return weir.Result{N: 1}
	})
}

// noting is a script that notes what passes; pre decides.
func (t *trace) noting(name string, pre func(context.Context, weir.Call) weir.PreStatus) *script {
	return &script{
		pre: func(ctx context.Context, c weir.Call) weir.PreStatus {
			t.add("pre %s %s", name, c.Parameters().Name)
			if pre == nil {
				return weir.PreContinue
			}
			return pre(ctx, c)
		},
		post: func(_ context.Context, c weir.Call) weir.PostStatus {
			kind := "post"
			if c.Draining() {
				kind = "drain"
			}
			t.add("%s %s %s", kind, name, c.Parameters().Name)
			return weir.PostFinished
		},
	}
}

const create = weir.OpCreate

func creation() *weir.Parameters { return &weir.Parameters{Op: create, Name: "a", PID: 1, Volume: 1} }
