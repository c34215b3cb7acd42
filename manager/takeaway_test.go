package manager_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
)

// clumsy has instances that use a context of a kind that the filter has not registered, when they are told of something, and
// may be slow to be set up.
func clumsy(e *ends, setUp time.Duration) *weir.Filter {
	f := e.filter()
	f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
		time.Sleep(setUp)
		return &clumsiness{ending{ends: e}, site.Host}, nil
	}
	return f
}

type clumsiness struct {
	ending
	host weir.Host
}

func (c *clumsiness) Completed([]weir.Operation) {
	c.host.DropContext(weir.ContextKey{Kind: weir.ContextVolume})
}

// What becomes of a rule that is broken is what its action says. Who is taken away is told why, once, and stays away until
// somebody attaches him.
func TestBrokenRulesHaveActions(t *testing.T) {
	const removed = "it has broken rule context-kind: DropContext is called for a context of kind volume, which the filter has not registered"
	for name, c := range map[string]struct {
		actions string
		setUp   time.Duration
		state   string
		counts  []verify.Count
		told    []string
		why     string
	}{
		"reported":          {"double-resume=remove", 0, "attached", []verify.Count{{Filter: "ends", Rule: "context-kind", Count: 1}}, nil, ""},
		"reported by name":  {"all=remove,context-kind=report", 0, "attached", []verify.Count{{Filter: "ends", Rule: "context-kind", Count: 1}}, nil, ""},
		"ignored":           {"context-kind=ignore", 0, "attached", nil, nil, ""},
		"all ignored":       {"all=ignore", 0, "attached", nil, nil, ""},
		"removed":           {"context-kind=remove", 0, "removed", []verify.Count{{Filter: "ends", Rule: "context-kind", Count: 1}}, []string{"start: internal error", "internal error"}, removed},
		"removed in Setup":  {"slow-setup=remove", 12 * time.Second, "removed", []verify.Count{{Filter: "ends", Rule: "slow-setup", Count: 1}}, []string{"start: internal error", "internal error"}, "it has broken rule slow-setup: Setup has not returned after 10s"},
		"Setup is reported": {"", 12 * time.Second, "attached", []verify.Count{{Filter: "ends", Rule: "context-kind", Count: 1}, {Filter: "ends", Rule: "slow-setup", Count: 1}}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var actions verify.Actions
			if c.actions != "" {
				var err error
				actions, err = verify.ParseActions(c.actions)
				check(t, err)
			}
			book, err := ledger.Open(t.TempDir())
			check(t, err)
			defer book.Close()
			e := new(ends)
			simulateWith(t, func(*log) []*weir.Filter { return []*weir.Filter{clumsy(e, c.setUp)} }, func(o *manager.Options) {
				o.Ledger, o.Verify = book, &verify.Options{Actions: actions}
			}, func(t *testing.T, b *bench) {
				v := memory.NewVolume(1, "/m")
				v.Describe(func(i *weir.VolumeInfo) { i.Mounts[0].Coming = true }) // Nobody has missed anything of it.
				b.discovery.Mount(v)
				synctest.Wait()
				time.Sleep(c.setUp)
				check(t, v.Create("a"))
				synctest.Wait()
				s := b.Snapshot()
				if slot := s.Slot("ends", 1); slot.State.String() != c.state || slot.Why != c.why || slot.By != "" {
					t.Errorf("slot %+v, want %s: %s", slot, c.state, c.why)
				}
				if !slices.Equal(s.Violations, c.counts) || !slices.Equal(e.reasons, c.told) {
					t.Errorf("counted %v, want %v; told %q, want %q", s.Violations, c.counts, e.reasons, c.told)
				}
				if text := b.logged.take(); strings.Contains(text, "breaks a rule") != (len(c.counts) > 0) || strings.Contains(text, "action=remove") != (c.why != "") {
					t.Errorf("the log:\n%s", text)
				}
				if c.why == "" {
					return
				}
				if gaps := book.Gaps(); len(gaps) != 1 || gaps[0].Cause != "taken away by weir: "+c.why || !gaps[0].Open() {
					t.Errorf("gaps %+v", gaps)
				}
				check(t, b.Attach("ends", "", 1))
				synctest.Wait()
				if state := b.Snapshot().Slot("ends", 1).State.String(); state != "attached" && state != "setting up" {
					t.Errorf("after an attach by hand it is %s", state)
				}
				time.Sleep(2 * c.setUp)
			})
		})
	}
}

func TestActionsThatThereAreNotAreRefused(t *testing.T) {
	for _, actions := range []verify.Actions{{"nothing": verify.Report}, {verify.All: 9}} {
		_, err := manager.New(manager.Options{
			Discovery: new(memory.Discovery), Planes: []weir.Plane{new(memory.Plane)}, Verify: &verify.Options{Actions: actions},
		})
		if weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%v: %v", actions, err)
		}
	}
}
