package weirtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/weirtest"
)

// names is an instance that notes what it is told.
type names struct{ told []string }

func (n *names) Completed(operations []weir.Operation) {
	for _, op := range operations {
		n.told = append(n.told, op.Ops.String()+" "+op.Name)
	}
}
func (n *names) Lost(string)                                   { n.told = append(n.told, "lost") }
func (n *names) Changed()                                      { n.told = append(n.told, "changed") }
func (n *names) Teardown(context.Context, weir.TeardownReason) { n.told = append(n.told, "teardown") }

func (n *names) filter() *weir.Filter {
	return &weir.Filter{
		Name: "names", Altitude: weir.MustAltitude("365000"), Wants: weir.OpCreate | weir.OpDelete,
		Setup: func(context.Context, weir.Site) (weir.Instance, error) { return n, nil },
	}
}

func (n *names) want(t *testing.T, told ...string) {
	t.Helper()
	if !slices.Equal(n.told, told) {
		t.Errorf("told %q, want %q", n.told, told)
	}
	n.told = nil
}

func TestVolumesComeAndGo(t *testing.T) {
	n := new(names)
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(v.Create("a"), v.Remove("a"))
		n.want(t, "create a", "delete a")
		w.Remount(v, "/elsewhere")
		n.want(t, "changed")
		w.Plane.Hold()
		w.Must(v.Create("b"))
		w.Lose(v)
		w.Plane.Release()
		n.want(t, "lost")
		w.Unmount(v)
		n.want(t, "teardown")
		w.Want("names", v, "none")
	}, n.filter())
	n.want(t)
}

func TestFiltersComeAndGo(t *testing.T) {
	n := new(names)
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(w.Load(n.filter()))
		w.Want("names", v, "attached")
		w.Must(w.Detach("names", "", v), w.Attach("names", "", v), w.Unload("names"), w.Load(n.filter()), w.ForceUnload("names"))
		n.want(t, "teardown", "teardown", "teardown")
		layer := w.MountLayer("/layer", "139998.99", v)
		w.Unmount(v)
		w.Must(w.Load(n.filter()))
		w.Want("names", layer, "attached")
		w.Must(w.Stop())
		n.want(t, "teardown")
	})
}

func TestPlanesAndSetUpsFailAndHang(t *testing.T) {
	n := new(names)
	weirtest.Run(t, func(w *weirtest.World) {
		w.BeforeAttach(func(context.Context, weir.Volume) error { return errors.New("not now") })
		v := w.Mount("/data")
		w.Want("names", v, "pending")
		w.BeforeAttach(func(ctx context.Context, _ weir.Volume) error { <-ctx.Done(); return ctx.Err() })
		time.Sleep(time.Minute)
		w.Want("names", v, "pending")
		w.BeforeAttach(nil)
		w.BeforeSetup(func(context.Context, string, weir.Site) error { return errors.New("no") })
		time.Sleep(2 * time.Minute)
		w.Want("names", v, "failed")
		w.BeforeSetup(nil)
		time.Sleep(time.Minute)
		w.Want("names", v, "attached")
		if !strings.Contains(w.Log(), "not now") {
			t.Errorf("logged:\n%s", w.Log())
		}
		w.Must(v.Create("a"))
		n.want(t, "create a")
	}, n.filter())
}

func TestOperationsHang(t *testing.T) {
	n := new(names)
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		goOn := make(chan struct{})
		v.Obstruct(func(context.Context, *weir.Parameters) error { <-goOn; return errors.New("torn off") })
		create := w.Begin(func() error { return v.Create("a") })
		if create.Done() {
			t.Error("the operation does not hang")
		}
		close(goOn)
		if err := create.Wait(); err == nil || !create.Done() {
			t.Errorf("the operation has ended with %v", err)
		}
		n.want(t)
	}, n.filter())
}

func TestViolationsAreTold(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		w.Tolerate("altitude-group")
		f := new(names).filter()
		f.Altitude = weir.MustAltitude("350000")
		w.Must(w.Load(f))
		if found := w.Violations(); len(found) != 1 || found[0].Rule != "altitude-group" || !strings.Contains(w.Log(), "a filter breaks a rule") {
			t.Errorf("found %v, logged:\n%s", found, w.Log())
		}
		counts := w.Manager.Snapshot().Violations
		if len(counts) != 1 || counts[0].Count != 1 || counts[0].Filter != "names" {
			t.Errorf("counted %v", counts)
		}
	})
}

// TestTheTestsOwnHooksAreNotTheFiltersFault has a hook that takes longer than a Setup may.
func TestTheTestsOwnHooksAreNotTheFiltersFault(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		w.BeforeSetup(func(ctx context.Context, _ string, _ weir.Site) error { <-ctx.Done(); return ctx.Err() })
		v := w.Mount("/data")
		time.Sleep(time.Minute)
		w.Unmount(v)
	}, new(names).filter())
}

// held is an instance that does not end before it is let go.
type held struct {
	names
	letGo chan struct{}
}

func (h *held) Teardown(context.Context, weir.TeardownReason) { <-h.letGo }

func TestAnUnloadingIsInProgress(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		h := &held{letGo: make(chan struct{})}
		f := h.filter()
		f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return h, nil }
		w.Must(w.Load(f))
		v := w.Mount("/data")
		unload := w.Begin(func() error { return w.Unload("names") })
		if unload.Done() {
			t.Error("the unloading does not wait for Teardown")
		}
		w.Want("names", v, "draining")
		close(h.letGo)
		w.Must(unload.Wait())
		w.Want("names", v, "none")
		if w.Load(nil) == nil {
			t.Error("no filter is loaded")
		}
	})
}

func TestTheWorldsContextIsOfItsTime(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		<-ctx.Done()
		if w.Context().Err() != nil {
			t.Error("the context has ended before the test")
		}
	})
}

func TestProgramsTalkToAFilter(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		f := new(names).filter()
		f.Connections = 1
		f.Connect = func(ctx context.Context, peer weir.Peer, port weir.Port) error {
			for {
				message, err := port.Receive(ctx)
				if err != nil || string(message) == "bye" {
					return err
				}
				if err := port.Send(ctx, fmt.Appendf(nil, "%s, %d", message, peer.PID)); err != nil {
					return err
				}
			}
		}
		w.Must(w.Load(f))
		p, err := w.Connect("names", weir.Peer{PID: 7})
		w.Must(err)
		w.Must(p.Send([]byte("hello")))
		if answer, err := p.Receive(); err != nil || string(answer) != "hello, 7" {
			t.Errorf("answer %q, error %v", answer, err)
		}
		w.Must(p.Send([]byte("bye")))
		if _, err := p.Receive(); weir.KindOf(err) != weir.KindAbsent || weir.KindOf(p.Send(nil)) != weir.KindAbsent || p.HangUp() != nil {
			t.Errorf("the filter has hung up: %v", err)
		}
		p, err = w.Connect("names", weir.Peer{PID: 8})
		w.Must(err)
		if err := p.HangUp(); err == nil || !p.Over() {
			t.Errorf("the program has hung up: %v", err)
		}
	})
}

// TestWhatTakesNoMarkIsSaidByTheLink as docs/filters.md has it: the instance is attached all the same.
func TestWhatTakesNoMarkIsSaidByTheLink(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		w.BeforeAttach(func(context.Context, weir.Volume) error {
			return &weir.Error{Op: "mark", Kind: weir.KindUnsupported, Err: errors.New("no mark here")}
		})
		v := w.Mount("/data")
		w.Want("names", v, "attached")
		if links := w.Manager.Snapshot().Volumes[0].Links; len(links) != 1 || links[0].State != topology.LinkUnsupported {
			t.Errorf("links %+v", links)
		}
	}, new(names).filter())
}
