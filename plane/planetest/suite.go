package planetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

// Volume is a volume that the suite can change. Names are relative to its root, with slashes.
type Volume interface {
	weir.Volume
	Create(name string) error
	Mkdir(name string) error
	Write(name string) error // an existing file, and close it
	Read(name string) error  // likewise
	Chmod(name string) error
	Link(old, name string) error
	Rename(old, name string) error
	Remove(name string) error
	Handle(name string) (weir.Handle, error) // "" is the root
}

// Fixture is what an implementation brings.
type Fixture struct {
	// Plane makes a plane.
	Plane func(t *testing.T) weir.Plane
	// Volume makes an empty, mounted volume.
	Volume func(t *testing.T) Volume
	// Unmount takes the volume away. It fails the test if something keeps it from that.
	Unmount func(t *testing.T, v Volume)
	// Open opens a file for RunIntercepting.
	Open func(v Volume, name string) (File, error)
}

// patience is how long the suite waits for what must come; silence is how long it watches for what must
// not.
const (
	patience = 10 * time.Second
	silence  = 50 * time.Millisecond
)

// Run runs the suite.
func Run(t *testing.T, f Fixture) {
	t.Run("tells every operation", f.tellsEveryOperation)
	t.Run("names the object", f.namesTheObject)
	t.Run("covers from the return of Attach", f.coversFromAttach)
	t.Run("follows what is wanted", f.followsWants)
	t.Run("keeps what stays wanted", f.keepsWanted)
	t.Run("tells of directories whoever needs them", f.tellsOfDirectories)
	t.Run("keeps volumes apart", f.keepsVolumesApart)
	t.Run("calls a sink from one goroutine at a time", f.oneAtATime)
	t.Run("detach waits for the sink", f.detachWaits)
	t.Run("detach under load", f.detachUnderLoad)
	t.Run("attaches again", f.attachesAgain)
	t.Run("holds nothing on the volume", f.holdsNothing)
	t.Run("a volume that has left is absent", f.absent)
	t.Run("close ends everything", f.closeEnds)
}

func (f Fixture) root(t *testing.T, v Volume) weir.Handle {
	t.Helper()
	h, err := v.Handle("")
	must(t, err)
	return h
}

func (f Fixture) attach(t *testing.T, p weir.Plane, v weir.Volume, s weir.Sink) weir.Attachment {
	t.Helper()
	a, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func (f Fixture) tellsEveryOperation(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	defer p.Close()
	f.attach(t, p, v, s)
	must(t, v.Mkdir("d"), v.Create("d/a"), v.Write("d/a"), v.Chmod("d/a"), v.Link("d/a", "d/b"),
		v.Rename("d/b", "c\n\xff"), v.Remove("c\n\xff"), v.Mkdir("e"), v.Rename("e", "d/e"))
	root, _ := v.Handle("")
	d, err := v.Handle("d")
	must(t, err)
	for _, want := range []weir.Operation{
		{Ops: weir.OpCreate, Dir: root, Name: "d", IsDir: true},
		{Ops: weir.OpCreate | weir.OpModify | weir.OpClose | weir.OpAttrib, Dir: d, Name: "a"},
		{Ops: weir.OpCreate, Dir: d, Name: "b"},
		{Ops: weir.OpRename, Dir: d, Name: "b", NewDir: root, NewName: "c\n\xff"},
		{Ops: weir.OpDelete, Dir: root, Name: "c\n\xff"},
		{Ops: weir.OpRename, Dir: root, Name: "e", NewDir: d, NewName: "e", IsDir: true},
	} {
		s.Want(t, want)
	}
}

func (f Fixture) namesTheObject(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	defer p.Close()
	f.attach(t, p, v, s)
	must(t, v.Mkdir("d"), v.Create("d/a"), v.Chmod("d"))
	d, err := v.Handle("d")
	must(t, err)
	a, err := v.Handle("d/a")
	must(t, err)
	s.Wait(t, "creation of d/a with its object", func(op weir.Operation) bool { return op.Dir == d && op.Name == "a" && op.Object == a })
	s.Wait(t, "attributes of d itself", func(op weir.Operation) bool {
		itself := op.Dir == d && (op.Name == "" || op.Name == ".")
		return itself && op.IsDir && op.Ops&weir.OpAttrib != 0 && op.Object == d
	})
}

func (f Fixture) coversFromAttach(t *testing.T) {
	p, v := f.Plane(t), f.Volume(t)
	defer p.Close()
	for i := range 50 {
		s := NewSink()
		a := f.attach(t, p, v, s)
		name := fmt.Sprint("f", i)
		must(t, v.Create(name))
		s.Wait(t, "creation of "+name, func(op weir.Operation) bool { return op.Name == name })
		must(t, a.Detach())
	}
}

func (f Fixture) keepsVolumesApart(t *testing.T) {
	p, v, w, s, r := f.Plane(t), f.Volume(t), f.Volume(t), NewSink(), NewSink()
	defer p.Close()
	f.attach(t, p, v, s)
	f.attach(t, p, w, r)
	must(t, v.Create("on v"), w.Create("on w"))
	s.Wait(t, "on v", func(op weir.Operation) bool { return op.Name == "on v" })
	r.Wait(t, "on w", func(op weir.Operation) bool { return op.Name == "on w" })
	if s.Has("on w") || r.Has("on v") {
		t.Error("an operation was told for the wrong volume")
	}
}

func (f Fixture) oneAtATime(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	defer p.Close()
	s.slow = time.Millisecond
	f.attach(t, p, v, s)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 10 {
				_ = v.Create(fmt.Sprint(i, ".", j))
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		s.Wait(t, "the last of each writer", func(op weir.Operation) bool { return op.Name == fmt.Sprint(i, ".9") })
	}
	s.check(t)
}

func (f Fixture) detachWaits(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	defer p.Close()
	inside, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.hook = func() { once.Do(func() { close(inside); <-goOn }) }
	a := f.attach(t, p, v, s)
	go func() { _ = v.Create("a") }()
	<-inside
	detached := make(chan struct{})
	go func() { defer close(detached); _ = a.Detach() }()
	select {
	case <-detached:
		t.Error("Detach returned while the sink was running")
	case <-time.After(silence):
	}
	close(goOn)
	<-detached
	must(t, a.Detach())
}

func (f Fixture) detachUnderLoad(t *testing.T) {
	p, v := f.Plane(t), f.Volume(t)
	defer p.Close()
	must(t, v.Create("f"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = v.Write("f")
			}
		}
	})
	for range 10 {
		s := NewSink()
		a := f.attach(t, p, v, s)
		s.Wait(t, "a write", func(op weir.Operation) bool { return op.Name == "f" })
		must(t, a.Detach())
		s.end()
		time.Sleep(2 * time.Millisecond)
		s.check(t)
	}
	close(stop)
	wg.Wait()
}

func (f Fixture) attachesAgain(t *testing.T) {
	p, v, w, s := f.Plane(t), f.Volume(t), f.Volume(t), NewSink()
	defer p.Close()
	f.attach(t, p, w, NewSink())
	must(t, f.attach(t, p, v, NewSink()).Detach())
	f.attach(t, p, v, s)
	must(t, v.Create("again"))
	s.Wait(t, "creation after a second Attach", func(op weir.Operation) bool { return op.Name == "again" })
}

func (f Fixture) holdsNothing(t *testing.T) {
	p, v := f.Plane(t), f.Volume(t)
	defer p.Close()
	a := f.attach(t, p, v, NewSink())
	must(t, v.Create("a"))
	f.Unmount(t, v)
	must(t, a.Detach())
}

func (f Fixture) absent(t *testing.T) {
	p, v := f.Plane(t), f.Volume(t)
	defer p.Close()
	f.Unmount(t, v)
	if _, err := p.Attach(context.Background(), v, weir.Demand{Ops: weir.Changes}, NewSink()); err == nil {
		t.Error("attached to a volume that has left")
	} else if weir.KindOf(err) != weir.KindAbsent && weir.KindOf(err) != weir.KindUnsupported {
		t.Errorf("error of kind %d: %v", weir.KindOf(err), err)
	}
}

func (f Fixture) closeEnds(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	a := f.attach(t, p, v, s)
	must(t, p.Close())
	s.end()
	must(t, v.Create("late"))
	time.Sleep(silence)
	s.check(t)
	must(t, a.Detach(), p.Close())
	if _, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, s); err == nil {
		t.Error("attached to a closed plane")
	}
}
