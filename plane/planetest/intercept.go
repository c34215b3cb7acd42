package planetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

// File is an open file of a volume whose operations are intercepted.
type File interface {
	ID() weir.OpenID
	WriteAt(b []byte, at int64) (int, error)
	ReadAt(b []byte, at int64) (int, error) // without an error at the end
	Truncate(size int64) error
	Close() error
}

// RunIntercepting runs the suite of planes that intercept. The fixture's planes are weir.Intercepting, and it
// has Open.
func RunIntercepting(t *testing.T, f Fixture) {
	for name, test := range map[string]func(Fixture, *testing.T, *intercepted){
		"every operation passes, and is carried out below": Fixture.passesEveryOperation,
		"what is not carried out has not happened":         Fixture.canBeRefused,
		"the gate's result is the caller's":                Fixture.returnsTheGatesResult,
		"changed parameters count":                         Fixture.takesChangedParameters,
		"content passes":                                   Fixture.passesContent,
		"gates are passed by altitude":                     Fixture.ordersGates,
		"generated operations begin below":                 Fixture.generatesBelow,
		"what is told has been carried out":                Fixture.tellsWhatHappened,
		"detach does not wait, and ends the gate":          Fixture.detachesAGate,
		"ends of files and opens are told once":            Fixture.tellsEnds,
		"an operation that hangs delays no other":          Fixture.hangsAlone,
		"a volume that has left fails":                     Fixture.failsWhenLeft,
		"close ends gates":                                 Fixture.closeEndsGates,
	} {
		t.Run(name, func(t *testing.T) {
			p, v := f.Plane(t).(weir.Intercepting), f.Volume(t)
			defer p.Close()
			test(f, t, &intercepted{p, v, f.Open})
		})
	}
}

func (f Fixture) passesEveryOperation(t *testing.T, i *intercepted) {
	g := new(gate)
	i.gate(t, "100", g)
	must(t, i.Mkdir("d"), i.Create("d/a"), i.Chmod("d/a"), i.Link("d/a", "d/b"), i.Rename("d/b", "c"), i.Remove("c"))
	i.write(t, "d/a", "x")
	i.read(t, "d/a")
	root, _ := i.Handle("")
	d, _ := i.Handle("d")
	a, err := i.Handle("d/a")
	must(t, err)
	got := g.take()
	for n, want := range []weir.Parameters{
		{Op: weir.OpCreate, Dir: root, Name: "d", IsDir: true},
		{Op: weir.OpCreate, Dir: d, Name: "a"},
		{Op: weir.OpAttrib, Dir: d, Name: "a", Object: a},
		{Op: weir.OpCreate, Dir: d, Name: "b", Object: a},
		{Op: weir.OpRename, Dir: d, Name: "b", NewDir: root, NewName: "c", Object: a},
		{Op: weir.OpDelete, Dir: root, Name: "c", Object: a},
		{Op: weir.OpOpen, Object: a}, {Op: weir.OpModify, Object: a}, {Op: weir.OpClose, Object: a},
		{Op: weir.OpOpen, Object: a}, {Op: weir.OpAccess, Object: a}, {Op: weir.OpClose, Object: a},
	} {
		if n >= len(got) {
			t.Fatalf("%d operations passed, the next is %+v", n, want)
		}
		p := got[n]
		named := want.Dir == "" || p.Dir == want.Dir && p.Name == want.Name && p.NewDir == want.NewDir && p.NewName == want.NewName
		if p.Op != want.Op || !named || p.Object != want.Object || p.IsDir != want.IsDir || p.Volume != i.ID() {
			t.Errorf("operation %d is %+v, want %+v on volume %d", n, p, want, i.ID())
		}
		if open := p.Op&(weir.OpModify|weir.OpAccess|weir.OpClose) != 0; open != (p.Open != 0) {
			t.Errorf("operation %d has open file %d: %+v", n, p.Open, p)
		}
	}
}

func (f Fixture) canBeRefused(t *testing.T, i *intercepted) {
	no := errors.New("no")
	must(t, i.Create("a"))
	i.gate(t, "100", &gate{do: func(context.Context, *weir.Parameters, weir.Lower) weir.Result { return weir.Result{Err: no} }})
	_, opened := i.open(i.Volume, "a")
	for n, err := range []error{i.Create("b"), i.Remove("a"), i.Rename("a", "c"), opened} {
		if !errors.Is(err, no) {
			t.Errorf("operation %d: error %v", n, err)
		}
	}
	if _, err := i.Handle("a"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"b", "c"} {
		if _, err := i.Handle(name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

func (f Fixture) returnsTheGatesResult(t *testing.T, i *intercepted) {
	late := errors.New("late")
	i.gate(t, "100", &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		result := lower.Do(ctx, p)
		if p.Op == weir.OpCreate {
			result.Err = late
		}
		return result
	}})
	if err := i.Create("a"); !errors.Is(err, late) {
		t.Errorf("error %v", err)
	}
	if _, err := i.Handle("a"); err != nil {
		t.Error("it was not carried out:", err)
	}
}

func (f Fixture) takesChangedParameters(t *testing.T, i *intercepted) {
	i.gate(t, "100", &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		own := *p
		own.Name = "instead"
		return lower.Do(ctx, &own)
	}})
	must(t, i.Create("a"))
	if _, err := i.Handle("instead"); err != nil {
		t.Error(err)
	}
}

func (f Fixture) passesContent(t *testing.T, i *intercepted) {
	must(t, i.Create("a"))
	var read string
	i.gate(t, "100", &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		own := *p
		if p.Op == weir.OpModify && p.Data != nil {
			own.Data = []byte("<" + string(p.Data) + ">")
		}
		result := lower.Do(ctx, &own)
		if p.Op == weir.OpAccess {
			read = string(p.Data[:result.N])
		}
		return result
	}})
	i.write(t, "a", "text")
	if got := i.read(t, "a"); got != "<text>" || read != got {
		t.Errorf("read %q, and the gate %q", got, read)
	}
	file, err := i.open(i.Volume, "a")
	must(t, err)
	must(t, file.Truncate(3), file.Close())
	if got := i.read(t, "a"); got != "<te" {
		t.Errorf("after the truncation read %q", got)
	}
}

func (f Fixture) ordersGates(t *testing.T, i *intercepted) {
	var order []string
	add := func(name string) *gate {
		return &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
			order = append(order, name)
			result := lower.Do(ctx, p)
			order = append(order, name)
			return result
		}}
	}
	i.gate(t, "100", add("low"))
	high := i.gate(t, "300.5", add("high"))
	i.gate(t, "300.25", add("middle"))
	must(t, i.Create("a"), high.Detach(), i.Create("b"))
	want := []string{"high", "middle", "low", "low", "middle", "high", "middle", "low", "low", "middle"}
	if !slices.Equal(order, want) {
		t.Errorf("passed %q, want %q", order, want)
	}
}

func (f Fixture) generatesBelow(t *testing.T, i *intercepted) {
	low, high := new(gate), new(gate)
	i.gate(t, "100", low)
	held := i.gate(t, "200", high)
	root, _ := i.Handle("")
	create := weir.Parameters{Op: weir.OpCreate, Dir: root, Name: "a", Volume: i.ID()}
	if result := held.Do(t.Context(), &create); result.Err != nil {
		t.Fatal(result.Err)
	}
	if len(high.take()) != 0 || len(low.take()) != 1 {
		t.Error("it did not begin below the gate")
	}
	must(t, held.Detach())
	create.Name = "b"
	if result := held.Do(t.Context(), &create); result.Err != nil || len(low.take()) != 1 {
		t.Error("it cannot be done after Detach:", result.Err)
	}
}

func (f Fixture) tellsWhatHappened(t *testing.T, i *intercepted) {
	s := NewSink()
	f.attach(t, i.Intercepting, i.Volume, s)
	i.gate(t, "100", &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		own := *p
		switch p.Name {
		case "refused":
			return weir.Result{Err: errors.New("no")}
		case "a":
			own.Name = "instead"
		}
		return lower.Do(ctx, &own)
	}})
	if err := i.Create("refused"); err == nil {
		t.Error("it was not refused")
	}
	must(t, i.Create("a"), i.Create("last"))
	s.Wait(t, "the last creation", func(op weir.Operation) bool { return op.Name == "last" })
	if s.Has("refused") || s.Has("a") || !s.Has("instead") {
		t.Errorf("told %+v", s.Operations())
	}
}

func (f Fixture) detachesAGate(t *testing.T, i *intercepted) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	g := &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		if p.Name == "held" {
			close(inside)
			<-goOn
		}
		return lower.Do(ctx, p)
	}}
	held := i.gate(t, "100", g)
	ended := make(chan error, 1)
	go func() { ended <- i.Create("held") }()
	<-inside
	must(t, held.Detach(), held.Detach())
	g.take()
	must(t, i.Create("after"))
	if passed := g.take(); len(passed) > 0 {
		t.Errorf("passed after Detach: %+v", passed)
	}
	close(goOn)
	must(t, <-ended)
	if _, err := i.Handle("held"); err != nil {
		t.Error(err)
	}
}

func (f Fixture) tellsEnds(t *testing.T, i *intercepted) {
	g := new(gate)
	held := i.gate(t, "100", g)
	must(t, i.Create("a"), i.Link("a", "b"))
	a, err := i.Handle("a")
	must(t, err)
	inode := weir.ContextKey{Kind: weir.ContextFile, File: a}
	file, err := i.open(i.Volume, "a")
	must(t, err)
	open := weir.ContextKey{Kind: weir.ContextOpen, Open: file.ID()}
	steps := []struct {
		what        string
		do          func() error
		inode, open int // how often its end has been told
	}{
		{"opened", func() error { return nil }, 0, 0},
		{"one name gone", func() error { return i.Remove("a") }, 0, 0},
		{"no name left", func() error { return i.Remove("b") }, 0, 0},
		{"closed", file.Close, 1, 1},
		{"another file", func() error { return i.Create("c") }, 1, 1},
	}
	for _, s := range steps {
		must(t, s.do())
		if g.told(inode) != s.inode || g.told(open) != s.open {
			t.Errorf("%s: the end of the inode was told %d times, of the open file %d times", s.what, g.told(inode), g.told(open))
		}
		if held.Has(inode) != (s.inode == 0) || held.Has(open) != (s.open == 0) {
			t.Errorf("%s: Has says %v of the inode and %v of the open file", s.what, held.Has(inode), held.Has(open))
		}
	}
}

func (f Fixture) hangsAlone(t *testing.T, i *intercepted) {
	goOn, inside := make(chan struct{}), make(chan struct{})
	i.gate(t, "100", &gate{do: func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
		if p.Name == "held" {
			close(inside)
			<-goOn
		}
		return lower.Do(ctx, p)
	}})
	ended := make(chan error, 1)
	go func() { ended <- i.Create("held") }()
	<-inside
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() { must(t, i.Create(fmt.Sprint(n))) })
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("an operation that hangs delays others")
	}
	close(goOn)
	must(t, <-ended)
}

func (f Fixture) failsWhenLeft(t *testing.T, i *intercepted) {
	held := i.gate(t, "100", new(gate))
	root, _ := i.Handle("")
	f.Unmount(t, i.Volume)
	result := held.Do(t.Context(), &weir.Parameters{Op: weir.OpCreate, Dir: root, Name: "a", Volume: i.ID()})
	if weir.KindOf(result.Err) != weir.KindAbsent {
		t.Errorf("an operation below the gate: %v", result.Err)
	}
	if held.Has(weir.ContextKey{Kind: weir.ContextFile, File: root}) {
		t.Error("the root of a volume that has left is still there")
	}
	must(t, held.Detach())
	if _, err := i.Intercept(context.Background(), i.Volume, weir.MustAltitude("1"), new(gate)); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("intercepted a volume that has left: %v", err)
	}
}

func (f Fixture) closeEndsGates(t *testing.T, i *intercepted) {
	g := new(gate)
	held := i.gate(t, "100", g)
	must(t, i.Intercepting.Close(), i.Create("late"), held.Detach())
	if passed := g.take(); len(passed) > 0 {
		t.Errorf("passed after Close: %+v", passed)
	}
	if _, err := i.Intercept(t.Context(), i.Volume, weir.MustAltitude("1"), g); err == nil {
		t.Error("intercepted with a closed plane")
	}
}
