package weirtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
)

const all = weir.Changes | weir.OpOpen | weir.OpAccess

// faults tries all rules, and returns what is found, with the names of the rules.
func faults(t *testing.T, filter func() *weir.Filter) string {
	var mu sync.Mutex
	var list []string
	for _, r := range rules() {
		loaded := true
		synctest.Test(t, func(t *testing.T) {
			loaded = (&trial{filter: filter, fault: func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, r.name+": "+fmt.Sprintf(format, args...))
			}}).run(t.Context(), r)
		})
		if !loaded {
			break
		}
	}
	return strings.Join(list, "\n")
}

func TestGoodFiltersConform(t *testing.T) {
	for name, filter := range map[string]func() *weir.Filter{
		"that does nothing":     modelled(nil),
		"that only observes":    but(func(f *weir.Filter) { f.Before, f.After, f.Contexts = 0, 0, nil }),
		"that queues":           modelled(queueing),
		"that counts":           modelled(counting),
		"that refuses":          modelled(refusing),
		"that declines":         but(func(f *weir.Filter) { f.Concerns = func(context.Context, weir.Volume) error { return weir.ErrDecline } }),
		"with two instances":    but(twice),
		"with no more than one": roomed(true),
		"that scans": but(func(f *weir.Filter) {
			f.Scans = true
			f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
				m := &model{site: site}
				m.lost = func(*model) {
					_ = site.Host.Missed(time.Now(), "lost")
					_ = site.Host.Scanned(time.Now(), "a scan")
				}
				return m, site.Host.Scanned(time.Now(), "the first scan")
			}
		}),
		"with a port": but(func(f *weir.Filter) { f.Connections, f.Connect = 1, echo }),
		"that does not leave": but(func(f *weir.Filter) {
			f.Unload = func(_ context.Context, mandatory bool) error { return unwilling(mandatory) }
		}),
	} {
		t.Run(name, func(t *testing.T) { Conform(t, filter) })
	}
}

func TestConformCatches(t *testing.T) {
	shared := new(model)
	same := modelled(nil)()
	for _, tt := range []struct {
		name, want string
		filter     func() *weir.Filter
	}{
		{"no name", "names and altitudes are right: it cannot be loaded: start filter: a filter has no name", but(func(f *weir.Filter) { f.Name = "" })},
		{"an altitude in no group", "altitude-group", but(func(f *weir.Filter) { f.Altitude = weir.MustAltitude("350000") })},
		{"one filter for all", "the same filter is made twice", func() *weir.Filter { return same }},
		{"instances at one altitude", "altitude 304000 is that of", but(func(f *weir.Filter) { twice(f); f.Instances[0].Altitude = f.Instances[1].Altitude })},
		{"an error for a decline", "a pseudo file system is no failure", but(func(f *weir.Filter) {
			f.Concerns = func(_ context.Context, v weir.Volume) error {
				if v.Info().Pseudo {
					return errors.New("not for me")
				}
				return nil
			}
		})},
		{"one instance for all", "setup-teardown", but(func(f *weir.Filter) {
			f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return shared, nil }
		})},
		{"an instance and an error", "setup-teardown", but(func(f *weir.Filter) {
			f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return new(model), weir.ErrDecline }
		})},
		{"neither an instance nor an error", "setup-teardown", but(func(f *weir.Filter) {
			f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return nil, nil }
		})},
		{"one room for all instances of a volume", "several instances may be on one volume: ", roomed(false)},
		{"goroutines that stay", "goroutines are left of instances", modelled(func(*model) { go time.Sleep(24 * time.Hour) })},
		{"work after the teardown", "an instance that has ended is silent: filter model, instance model on volume 2: use-after-teardown", modelled(func(m *model) {
			go func() {
				for range 10 {
					time.Sleep(time.Minute)
					m.site.Host.DropContext(weir.ContextKey{Kind: weir.ContextInstance})
				}
			}()
		})},
		{"a Setup that ignores its ctx", "it has to return when its ctx ends", but(func(f *weir.Filter) {
			f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { time.Sleep(time.Hour); return new(model), nil }
		})},
		{"a slow Lost", "operations may be lost, merged and late: filter model, instance model on volume 1: slow-callback: Lost", modelled(func(m *model) {
			m.lost = func(*model) { time.Sleep(time.Minute) }
		})},
		{"a draining Post that pends", "pend-draining", modelled(func(m *model) {
			m.post = func(_ *model, _ context.Context, c weir.Call) weir.PostStatus {
				go func() { _ = c.ResumePost() }()
				return weir.PostPend
			}
		})},
		{"a draining Post that hangs", "the filter may be unloaded under operations: filter model, instance model on volume 1", modelled(func(m *model) {
			m.post = func(_ *model, _ context.Context, c weir.Call) weir.PostStatus {
				if c.Draining() {
					time.Sleep(time.Hour)
				}
				return weir.PostFinished
			}
		})},
		{"a queue that is not disabled", "never-resumed: the operation is still pended when the instance ends", modelled(func(m *model) {
			m.pre = func(*model, context.Context, weir.Call) weir.PreStatus { return weir.PrePend }
		})},
		{"programs that give up are not noticed", "a program may give up: filter model, instance model on volume 1, create of create: never-resumed: the program has given up", modelled(func(m *model) {
			m.pre = func(_ *model, _ context.Context, c weir.Call) weir.PreStatus {
				time.AfterFunc(2*time.Second, func() { _ = c.ResumePre(weir.PreContinue) })
				return weir.PrePend
			}
		})},
		{"contexts that stay", "leaked-context", modelled(func(m *model) {
			m.completed = func(m *model) {
				_, _, _ = m.site.Host.SetContext(weir.ContextKey{Kind: weir.ContextInstance}, 1, weir.KeepExisting)
			}
		})},
		{"a hold that stays", "the filter may be unloaded under operations: it is not unloaded after 5s", modelled(func(m *model) { _, _ = m.site.Host.Hold("ever") })},
		{"a refusal of everything", "mandatory-refusal", but(func(f *weir.Filter) {
			f.Unload = func(context.Context, bool) error { return errors.New("never") }
		})},
		{"a scan that is never told", "a filter that scans says so: it has Scans", but(func(f *weir.Filter) { f.Scans = true })},
		{"a scan that ends before it begins", "wrong-time", modelled(func(m *model) { _ = m.site.Host.Scanned(time.Now().Add(time.Hour), "a scan") })},
		{"operations that are kept", "kept-slice", modelled(func(m *model) {
			m.operations = func(m *model, operations []weir.Operation) { m.kept = operations }
		})},
		{"a Want in Completed", "want-inside", modelled(func(m *model) {
			m.completed = func(m *model) { _ = m.site.Host.Want(context.Background(), weir.Changes) }
		})},
		{"a lease that stays", "leaked-lease", modelled(func(m *model) { _, _ = m.site.Volume.Borrow(context.Background(), "") })},
		{"a port that does not end", "programs may come to the port, and leave: Connect still runs 5s after the program has hung up", but(func(f *weir.Filter) {
			f.Connections = 2
			f.Connect = func(context.Context, weir.Peer, weir.Port) error { time.Sleep(time.Minute); return nil }
		})},
		{"no Interceptor", "what Setup returns cannot be used: set up model: it asks for", but(func(f *weir.Filter) {
			f.Setup = func(context.Context, weir.Site) (weir.Instance, error) {
				return &struct{ weir.Instance }{new(model)}, nil
			}
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found := faults(t, tt.filter); !strings.Contains(found, tt.want) {
				t.Errorf("found:\n%s\nwant: %s", found, tt.want)
			}
		})
	}
}

// TestConformSaysOnce what every rule would find.
func TestConformSaysOnce(t *testing.T) {
	for what, filter := range map[string]func() *weir.Filter{
		"it cannot be loaded": but(func(f *weir.Filter) { f.Name = "" }),
		"350000 of instance":  but(func(f *weir.Filter) { f.Altitude = weir.MustAltitude("350000") }),
	} {
		first, n := "", 0
		for line := range strings.SplitSeq(faults(t, filter), "\n") {
			if rule, _, _ := strings.Cut(line, ": "); strings.Contains(line, what) && rule != first {
				first, n = rule, n+1
			}
		}
		if n != 1 {
			t.Errorf("%d rules say: %s", n, what)
		}
	}
}
