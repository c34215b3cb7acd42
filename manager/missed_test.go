package manager_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
)

// passer is an instance that lets everything pass.
type passer struct{ *spy }

func (passer) Pre(context.Context, weir.Call) weir.PreStatus   { return weir.PreContinue }
func (passer) Post(context.Context, weir.Call) weir.PostStatus { return weir.PostFinished }

// TestOneGapForEachFilterThatHasMissedSomething has a filter with two instances, one that asks for nothing, one that is
// passed by what it intercepts, and one that does its own accounts.
func TestOneGapForEachFilterThatHasMissedSomething(t *testing.T) {
	book, err := ledger.Open(t.TempDir())
	check(t, err)
	defer book.Close()
	simulateWith(t, func(l *log) []*weir.Filter {
		f := func(name, altitude string, change func(*weir.Filter)) *weir.Filter {
			f := spyFilter(l, name, altitude, nil)
			change(f)
			return f
		}
		return []*weir.Filter{
			f("twice", "100", func(f *weir.Filter) {
				f.Instances = []weir.Definition{{Name: "a", Altitude: f.Altitude}, {Name: "b", Altitude: weir.MustAltitude("101")}}
			}),
			f("idle", "200", func(f *weir.Filter) { f.Wants = 0 }),
			f("accountant", "300", func(*weir.Filter) {}),
			f("gate", "400", func(f *weir.Filter) {
				f.Wants, f.Before = 0, weir.OpCreate
				f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return passer{&spy{l, "gate"}}, nil }
			}),
		}
	}, func(o *manager.Options) { o.Ledger, o.Accounting = book, []string{"accountant"} }, func(t *testing.T, b *bench) {
		b.mount(1)
		synctest.Wait()
		b.stop()
		check(t, <-b.ended)
		if gaps := book.Gaps(); len(gaps) != 1 || gaps[0].Filter != "twice" || gaps[0].Open() {
			t.Errorf("gaps %+v", gaps)
		}
	})
}

// TestVolumeThatLeavesBeforeSetUp has a volume leave before an instance of a filter was set up on it, which is a gap of each
// that was to have one, but of who does its own accounts.
func TestVolumeThatLeavesBeforeSetUp(t *testing.T) {
	hang := func(ctx context.Context, _ weir.Volume) error { <-ctx.Done(); return ctx.Err() }
	fail := func(context.Context, weir.Volume) error { return errors.New("no memory") }
	const left = "the volume has left before the filter was set up on it"
	for name, c := range map[string]struct {
		change        func(*weir.Filter)
		before        func(context.Context, weir.Volume) error // in Setup
		cause, closed string
	}{
		"hangs": {before: hang, cause: left, closed: "the volume has left; what was missed is not looked for"},
		"fails": {before: fail, cause: left + ": no memory", closed: "the volume has left; what was missed is not looked for"},
		"scans": {change: func(f *weir.Filter) { f.Scans = true }, before: fail, cause: left + ": no memory"},
		"asked": {change: func(f *weir.Filter) { f.Scans, f.Concerns = true, hang }, cause: left},
		"twice": {change: func(f *weir.Filter) {
			f.Scans, f.Instances = true, []weir.Definition{{Name: "a", Altitude: f.Altitude}, {Name: "b", Altitude: weir.MustAltitude("101")}}
		}, before: fail, cause: left + ": no memory"},
		"declines": {before: func(context.Context, weir.Volume) error { return weir.ErrDecline }},
		"by hand": {change: func(f *weir.Filter) {
			f.Instances = []weir.Definition{{Name: "a", Altitude: f.Altitude, Attach: weir.AttachManual}}
		}},
		"idle":     {change: func(f *weir.Filter) { f.Wants = 0 }, before: fail},
		"accounts": {change: func(f *weir.Filter) { f.Name = "accountant" }, before: fail},
	} {
		t.Run(name, func(t *testing.T) {
			book, err := ledger.Open(t.TempDir())
			check(t, err)
			defer book.Close()
			simulateWith(t, func(l *log) []*weir.Filter {
				f := spyFilter(l, "f", "100", c.before)
				if c.change != nil {
					c.change(f)
				}
				return []*weir.Filter{f}
			}, func(o *manager.Options) { o.Ledger, o.Accounting = book, []string{"accountant"} }, func(t *testing.T, b *bench) {
				began := time.Now()
				v := b.mount(1)
				time.Sleep(5 * time.Second)
				b.discovery.Unmount(v)
				time.Sleep(time.Minute)
				gaps := book.Gaps()
				if c.cause == "" {
					if len(gaps) > 0 {
						t.Errorf("gaps %+v", gaps)
					}
					return
				}
				if len(gaps) != 1 || gaps[0].Cause != c.cause || gaps[0].ClosedBy != c.closed || gaps[0].Source != "memory1" ||
					!gaps[0].From.Equal(began) || !gaps[0].Until.Equal(began.Add(5*time.Second)) {
					t.Errorf("gaps %+v", gaps)
				}
			})
		})
	}
}

// A filter misses nothing of a volume before it was loaded.
func TestVolumeThatLeavesBeforeSetUpOfALateFilter(t *testing.T) {
	book, err := ledger.Open(t.TempDir())
	check(t, err)
	defer book.Close()
	simulateWith(t, func(*log) []*weir.Filter { return nil }, func(o *manager.Options) { o.Ledger = book }, func(t *testing.T, b *bench) {
		v := b.mount(1)
		time.Sleep(time.Hour)
		loaded := time.Now()
		check(t, b.Start(spyFilter(&b.log, "f", "100", func(context.Context, weir.Volume) error { return errors.New("no") })))
		time.Sleep(time.Hour)
		b.discovery.Unmount(v)
		synctest.Wait()
		if gaps := book.Gaps(); len(gaps) != 1 || !gaps[0].From.Equal(loaded) || !gaps[0].Until.Equal(time.Now()) {
			t.Errorf("gaps %+v", gaps)
		}
	})
}
