package verify_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
	"github.com/weirfs/weir/weirtest"
)

// nobody is a manager that does not do what it should.
type nobody struct{ weir.Host }

// A manager that calls an instance when it should not is found out, too.
func TestManagerIsWatchedToo(t *testing.T) {
	var found []string
	v := verify.New(verify.Options{Violation: func(v verify.Violation) { found = append(found, v.Rule+": "+v.What) }}, nil, slog.New(slog.DiscardHandler))
	m := new(model)
	site := weir.Site{Volume: memory.NewVolume(1, "/m"), Instance: weir.Definition{Name: "model"}, Host: &nobody{}}
	in, err := v.Filter(m.filter()).Setup(t.Context(), site)
	if err != nil {
		t.Fatal(err)
	}
	in.Completed(nil)
	in.Teardown(t.Context(), weir.TeardownManual)
	if len(found) > 0 {
		t.Errorf("found %q", found)
	}
	in.Lost("late")
	in.Teardown(t.Context(), weir.TeardownManual)
	v.Ended(site.Host)
	if _, err := v.Filter(m.filter()).Setup(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	v.Ended(site.Host)
	if got, want := strings.Join(found, "\n"), strings.Join([]string{
		"callback-outside: Lost is called before Setup has returned, or after Teardown has begun",
		"setup-teardown: Teardown is called a second time",
		"setup-teardown: the instance has ended without a Teardown",
	}, "\n"); got != want {
		t.Errorf("found:\n%s\nwant:\n%s", got, want)
	}
	if counts := v.Counts(); len(counts) != 2 || counts[0] != (verify.Count{Filter: "model", Rule: "callback-outside", Count: 1}) || counts[1].Count != 2 {
		t.Errorf("counted %v", counts)
	}
}

func borrowAndForget(v weir.Volume) { borrow(v) }

// Who has taken what was not given back is named.
func TestLeaksHaveStacks(t *testing.T) {
	s := scene{}
	for _, leak := range []func(*instance){takeAndForget, func(m *instance) { borrowAndForget(m.site.Volume) }} {
		broken, _ := s.play(t, &model{wants: weir.OpCreate, completed: leak})
		if len(broken) != 1 || !strings.Contains(broken[0].Stack, "AndForget") || !strings.Contains(broken[0].String(), "taken at ") {
			t.Errorf("found %v", broken)
		}
	}
}

func takeAndForget(m *instance) { _, _, _ = m.site.Host.SetContext(onSelf, 1, weir.KeepExisting) }

// What an instance may implement besides is there for who watches, and consents where it is not.
func TestWatchedFilterIsAsItWas(t *testing.T) {
	var none *verify.Verifier
	f := new(model).filter()
	if none.Filter(f) != f || none.Counts() != nil {
		t.Error("somebody watches")
	}
	none.Check(f)
	none.Ended(nil)
	v := verify.New(verify.Options{}, nil, slog.New(slog.DiscardHandler))
	plain := &weir.Filter{Name: "plain", Setup: func(context.Context, weir.Site) (weir.Instance, error) {
		return &struct{ weir.Instance }{new(instance)}, nil
	}}
	in, err := v.Filter(plain).Setup(t.Context(), weir.Site{Volume: memory.NewVolume(1, "/m"), Host: &nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := in.(weir.Interceptor); ok {
		t.Error("it has got a Pre")
	}
	if err := in.(weir.TeardownQuerier).QueryTeardown(t.Context()); err != nil {
		t.Error(err)
	}
	in.(weir.TeardownStarter).TeardownStart(weir.TeardownManual)
	if w := v.Filter(plain); w.Unload != nil || w.Concerns != nil || w.Connect != nil {
		t.Error("it has got callbacks")
	}
}

// A callback that is left behind may still call its host, which tells it that all is over; what it has begun may not.
func TestWhatIsLeftBehindIsNotLate(t *testing.T) {
	late := func(m *instance) {
		time.Sleep(time.Hour)
		m.site.Host.DropContext(onSelf)
	}
	setUp := func(do func(*instance)) *model {
		m := new(model)
		m.setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
			in := &instance{m, site}
			do(in)
			return in, nil
		}
		return m
	}
	s := scene{do: func(w *weirtest.World, v *memory.Volume) {
		w.Begin(func() error { return v.Create("a") })
		w.Must(w.ForceUnload("model"))
		time.Sleep(2 * time.Hour)
	}}
	for name, c := range map[string]struct {
		model *model
		late  bool
	}{
		"Setup":       {setUp(late), false},
		"Completed":   {&model{wants: weir.OpCreate, completed: late}, false},
		"Teardown":    {&model{teardown: late}, false},
		"a goroutine": {&model{wants: weir.OpCreate, completed: func(m *instance) { go late(m) }}, true},
	} {
		broken, _ := s.play(t, c.model)
		if got := slices.ContainsFunc(broken, func(v verify.Violation) bool { return v.Rule == "use-after-teardown" }); got != c.late {
			t.Errorf("%s: found %v", name, broken)
		}
	}
}

func TestRulesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range verify.Rules() {
		if row := "| `" + r.ID + "` | " + r.Says + " | " + r.Do + " |\n"; !strings.Contains(string(text), row) {
			t.Errorf("docs/filters.md has no row\n%s", row)
		}
	}
}
