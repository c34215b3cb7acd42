package manager_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// passer is an instance that lets everything pass.
type passer struct{ *spy }

func (passer) Pre(context.Context, weir.Call) weir.PreStatus   { return weir.PreContinue }
func (passer) Post(context.Context, weir.Call) weir.PostStatus { return weir.PostFinished }

// TestOneGapForEachFilterThatHasMissedSomething has a filter with two instances, one that asks for nothing, one that is
// passed by what it intercepts, and one that does its own accounts.
func TestOneGapForEachFilterThatHasMissedSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		f := func(name, altitude string, change func(*weir.Filter)) *weir.Filter {
			f := spyFilter(l, name, altitude, nil)
			change(f)
			return f
		}
		book, err := ledger.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		var discovery memory.Discovery
		m, err := manager.New(manager.Options{
			Discovery: &discovery, Planes: []weir.Plane{new(memory.Plane)}, Ledger: book, Accounting: []string{"accountant"},
			Filters: []*weir.Filter{
				f("twice", "100", func(f *weir.Filter) {
					f.Instances = []weir.Definition{{Name: "a", Altitude: f.Altitude}, {Name: "b", Altitude: weir.MustAltitude("101")}}
				}),
				f("idle", "200", func(f *weir.Filter) { f.Wants = 0 }),
				f("accountant", "300", func(*weir.Filter) {}),
				f("gate", "400", func(f *weir.Filter) {
					f.Wants, f.Before = 0, weir.OpCreate
					f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return passer{&spy{l, "gate"}}, nil }
				}),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		synctest.Wait()
		discovery.Mount(memory.NewVolume(1, "/mnt"))
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if gaps := book.Gaps(); len(gaps) != 1 || gaps[0].Filter != "twice" || gaps[0].Open() {
			t.Errorf("gaps %+v", gaps)
		}
	})
}
