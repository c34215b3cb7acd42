package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
	"github.com/weirfs/weir/weirtest"
)

// model is a filter, and its instances, that does as it is told. Nil callbacks do nothing.
type model struct {
	wants     weir.Ops
	before    weir.Ops
	after     weir.Ops
	change    func(f *weir.Filter)
	setup     func(ctx context.Context, site weir.Site) (weir.Instance, error)
	pre       func(m *instance, ctx context.Context, c weir.Call) weir.PreStatus
	post      func(m *instance, ctx context.Context, c weir.Call) weir.PostStatus
	completed func(m *instance)
	start     func(m *instance)
	teardown  func(m *instance)

	operations func(m *instance, operations []weir.Operation)
}

type instance struct {
	*model
	site weir.Site
}

func (m *instance) Pre(ctx context.Context, c weir.Call) weir.PreStatus {
	if m.pre == nil {
		return weir.PreContinue
	}
	return m.pre(m, ctx, c)
}

func (m *instance) Post(ctx context.Context, c weir.Call) weir.PostStatus {
	if m.post == nil {
		return weir.PostFinished
	}
	return m.post(m, ctx, c)
}

func (m *instance) call(callback func(*instance)) {
	if callback != nil {
		callback(m)
	}
}

func (m *instance) Completed(operations []weir.Operation) {
	m.call(m.completed)
	if m.operations != nil {
		m.operations(m, operations)
	}
}
func (m *instance) Lost(string)                                   {}
func (m *instance) Changed()                                      {}
func (m *instance) TeardownStart(weir.TeardownReason)             { m.call(m.start) }
func (m *instance) Teardown(context.Context, weir.TeardownReason) { m.call(m.teardown) }

func (m *model) filter() *weir.Filter {
	f := &weir.Filter{
		Name: "model", Altitude: weir.MustAltitude("305000"), Wants: m.wants, Before: m.before, After: m.after,
		Contexts: []weir.ContextKind{weir.ContextInstance, weir.ContextFile},
		Setup: func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			if m.setup != nil {
				return m.setup(ctx, site)
			}
			return &instance{m, site}, nil
		},
	}
	if m.change != nil {
		m.change(f)
	}
	return f
}

// scene is a filter and what happens to it.
type scene struct {
	rule string
	name string
	bad  *model
	good *model
	do   func(w *weirtest.World, v *memory.Volume) // the usual operations if nil
}

// play lets it happen, and returns the rules that were broken.
func (s scene) play(t *testing.T, m *model) (broken []verify.Violation, log string) {
	weirtest.Run(t, func(w *weirtest.World) {
		for _, r := range verify.Rules() {
			w.Tolerate(r.ID)
		}
		w.Must(w.Load(m.filter()))
		v := w.Mount("/data")
		do := s.do
		if do == nil {
			do = usual
		}
		do(w, v)
		w.Settle()
		_ = w.ForceUnload("model")
		broken, log = w.Violations(), w.Log()
	})
	return broken, log
}

// usual does an operation of every kind.
func usual(w *weirtest.World, v *memory.Volume) {
	w.Begin(func() error {
		return errors.Join(v.Create("a"), v.Write("a"), v.Read("a"), v.Chmod("a"), v.Rename("a", "b"), v.Remove("b"))
	}).Wait()
}

func (s scene) run(t *testing.T) {
	if broken, _ := s.play(t, s.good); len(broken) > 0 {
		t.Errorf("who keeps to it is reported: %v", broken)
	}
	broken, log := s.play(t, s.bad)
	i := slices.IndexFunc(broken, func(v verify.Violation) bool { return v.Rule == s.rule })
	if i < 0 {
		t.Fatalf("not found, but %v", broken)
	}
	if text := broken[i].String(); !strings.HasPrefix(text, "filter model") || !strings.Contains(text, s.rule+": ") || broken[i].Do == "" {
		t.Errorf("told %q", text)
	}
	if !strings.Contains(log, "rule="+s.rule) {
		t.Errorf("not in the log:\n%s", log)
	}
}
