package planetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

// followsWants attaches without a wish, and has two that are on one volume not get into each other's way.
func (f Fixture) followsWants(t *testing.T) {
	p, v, s, other := f.Plane(t), f.Volume(t), NewSink(), NewSink()
	defer p.Close()
	a, err := p.Attach(t.Context(), v, weir.Demand{}, s)
	must(t, err, v.Create("unseen"), a.Want(t.Context(), weir.Demand{Ops: weir.OpCreate}), v.Create("a"))
	s.Want(t, weir.Operation{Ops: weir.OpCreate, Dir: f.root(t, v), Name: "a"})
	b := f.attach(t, p, v, other)
	must(t, a.Want(t.Context(), weir.Demand{Ops: weir.OpOpen | weir.OpAccess}), v.Write("a"), v.Read("a"))
	s.Want(t, weir.Operation{Ops: weir.OpOpen | weir.OpAccess, Dir: f.root(t, v), Name: "a"})
	other.Want(t, weir.Operation{Ops: weir.OpModify | weir.OpClose, Dir: f.root(t, v), Name: "a"})
	must(t, b.Detach(), a.Want(t.Context(), weir.Demand{Ops: weir.OpDelete}), v.Remove("a"))
	s.Want(t, weir.Operation{Ops: weir.OpDelete, Dir: f.root(t, v), Name: "a"})
	for _, op := range s.Operations() {
		if op.Name == "unseen" {
			t.Errorf("told %+v, which nobody wanted", op)
		}
	}
	before := len(s.Operations())
	must(t, a.Want(t.Context(), weir.Demand{}), v.Create("later"), v.Write("later"))
	time.Sleep(silence)
	if told := s.Operations()[before:]; len(told) > 0 {
		t.Errorf("told %+v after nothing was wanted any more", told)
	}
	f.Unmount(t, v)
	if err := a.Want(t.Context(), weir.Demand{Ops: weir.OpCreate}); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("a volume that has left is watched: %v", err)
	}
}

// tellsOfDirectories has one that leaves directories out, beside another that comes and goes. Files have to be told all the
// time, also those in directories that nobody was told of.
func (f Fixture) tellsOfDirectories(t *testing.T) {
	p, v, s, other := f.Plane(t), f.Volume(t), NewSink(), NewSink()
	defer p.Close()
	files := weir.Demand{Ops: weir.Changes, Skips: weir.SkipDirs}
	told := func(s *Sink, op weir.Ops, name string, dir bool) {
		t.Helper()
		s.Wait(t, op.String()+" of "+name, func(o weir.Operation) bool { return o.Ops&op != 0 && o.Name == name && o.IsDir == dir })
	}
	a, err := p.Attach(t.Context(), v, files, s)
	must(t, err, v.Mkdir("d"), v.Create("d/a"))
	told(s, weir.OpCreate, "a", false)
	b := f.attach(t, p, v, other)
	must(t, v.Mkdir("d/e"), v.Create("d/e/b"), v.Rename("d/e", "e"))
	told(other, weir.OpCreate, "e", true)
	told(other, weir.OpRename, "e", true)
	told(s, weir.OpCreate, "b", false)
	must(t, b.Detach(), v.Mkdir("e/f"), v.Create("e/f/c"))
	told(s, weir.OpCreate, "c", false)
	must(t, a.Want(t.Context(), weir.Demand{Ops: weir.Changes}), v.Mkdir("g"))
	told(s, weir.OpCreate, "g", true)
	must(t, a.Want(t.Context(), files), v.Chmod("g"), v.Create("g/h"))
	told(s, weir.OpCreate, "h", false)
}

// keepsWanted changes its mind all the time about reads, and must not miss a creation.
func (f Fixture) keepsWanted(t *testing.T) {
	p, v, s := f.Plane(t), f.Volume(t), NewSink()
	defer p.Close()
	a := f.attach(t, p, v, s)
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		for i := range 300 {
			if err := v.Create(fmt.Sprint("f", i)); err != nil {
				t.Error(err)
			}
		}
	})
	for more := false; ; more = !more {
		wants := weir.Changes
		if more {
			wants |= weir.OpOpen | weir.OpAccess
		}
		must(t, a.Want(t.Context(), weir.Demand{Ops: wants}))
		select {
		case <-done:
			for i := range 300 {
				s.Want(t, weir.Operation{Ops: weir.OpCreate, Dir: f.root(t, v), Name: fmt.Sprint("f", i)})
			}
			return
		default:
		}
	}
}
