package verify_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
)

// bare is a call that nothing is to be done with.
type bare struct {
	weir.Call
	parameters weir.Parameters
	kept       any
	draining   bool
}

func (b *bare) Parameters() *weir.Parameters { return &b.parameters }
func (b *bare) Result() *weir.Result         { return new(weir.Result) }
func (b *bare) Draining() bool               { return b.draining }
func (b *bare) Keep(value any)               { b.kept = value }
func (b *bare) Kept() any                    { return b.kept }

// disorder is a manager that has operations pass instances in an order of its own.
type disorder struct {
	t         *testing.T
	verifier  *verify.Verifier
	broken    []string
	instances map[string]weir.Instance // by altitude
	calls     map[string]*bare
}

// Do and Deliver pass steps on: "pre 300", "post 200" or "drain 200"; "200" for Deliver.
func (d *disorder) Do(ctx context.Context, p *weir.Parameters, _ weir.Lower) (r weir.Result) {
	for step := range strings.SplitSeq(p.Name, ", ") {
		what, altitude, _ := strings.Cut(step, " ")
		in := d.instances[altitude].(weir.Interceptor)
		switch what {
		case "pre":
			d.calls[altitude] = &bare{parameters: weir.Parameters{Op: weir.OpCreate}}
			in.Pre(ctx, d.calls[altitude])
		default:
			c := d.calls[altitude]
			if c == nil {
				c = &bare{parameters: weir.Parameters{Op: weir.OpCreate}}
			}
			c.draining = what == "drain"
			in.Post(ctx, c)
		}
	}
	return r
}

func (*disorder) FileGone(weir.Handle) {}
func (*disorder) OpenGone(weir.OpenID) {}
func (*disorder) Lost(string)          {}

func (d *disorder) Deliver(operations []weir.Operation) {
	for altitude := range strings.SplitSeq(operations[0].Name, ", ") {
		d.instances[altitude].Completed(operations)
	}
}

func newDisorder(t *testing.T) *disorder {
	d := &disorder{t: t, instances: map[string]weir.Instance{}, calls: map[string]*bare{}}
	found := func(v verify.Violation) { d.broken = append(d.broken, v.Rule+": "+v.What) }
	d.verifier = verify.New(verify.Options{Violation: found}, nil, slog.New(slog.DiscardHandler))
	for _, altitude := range []string{"100", "200", "300"} {
		m := &model{before: weir.OpCreate, after: weir.OpCreate, wants: weir.OpCreate}
		site := weir.Site{
			Volume: memory.NewVolume(1, "/m"), Instance: weir.Definition{Name: "model", Altitude: weir.MustAltitude(altitude)}, Host: &nobody{},
		}
		in, err := d.verifier.Filter(m.filter()).Setup(t.Context(), site)
		if err != nil {
			t.Fatal(err)
		}
		d.instances[altitude] = in
	}
	return d
}

// That operations pass instances in order is a promise of the manager, which is watched too.
func TestOrderIsWatched(t *testing.T) {
	const rule = "out-of-order: "
	for steps, want := range map[string][]string{
		"pre 300, pre 200, pre 100, post 100, post 200, post 300": nil,
		"pre 300, pre 100, post 100, post 200, post 300":          nil, // The one between wants no Pre.
		"pre 300, pre 100, drain 300, post 100":                   nil,
		"post 100, post 300":                                      nil,
		"pre 200, pre 300":                                        {rule + "Pre is called at altitude 300 after the callback at altitude 200"},
		"pre 200, pre 200":                                        {rule + "Pre is called at altitude 200 after the callback at altitude 200"},
		"pre 300, pre 200, post 300, post 200":                    {rule + "Post is called at altitude 200 after the callback at altitude 300"},
		"pre 300, post 300, pre 200":                              {rule + "Pre is called at altitude 200 after the callback at altitude 300"},
	} {
		d := newDisorder(t)
		for range 2 { // Each operation is one of its own.
			d.verifier.Gate(d).Do(t.Context(), &weir.Parameters{Name: steps}, nil)
		}
		if got := d.broken; !slices.Equal(got, append(slices.Clone(want), want...)) {
			t.Errorf("%s: %q", steps, got)
		}
	}
	for steps, want := range map[string][]string{
		"100, 200, 300": nil,
		"100, 300":      nil,
		"200, 100":      {rule + "Completed is called at altitude 100 after the callback at altitude 200"},
	} {
		d := newDisorder(t)
		batch := []weir.Operation{{Ops: weir.OpCreate, Name: steps}}
		for range 2 { // The plane uses its slice again.
			d.verifier.Sink(d).Deliver(batch)
		}
		if got := d.broken; !slices.Equal(got, append(slices.Clone(want), want...)) {
			t.Errorf("%s: %q", steps, got)
		}
	}
	var none *verify.Verifier
	if d := newDisorder(t); none.Gate(d) != weir.Gate(d) || none.Sink(d) != weir.Sink(d) {
		t.Error("somebody watches")
	}
}
