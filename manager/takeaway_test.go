package manager_test

import (
	"context"
	"log/slog"
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
			synctest.Test(t, func(t *testing.T) {
				var actions verify.Actions
				if c.actions != "" {
					var err error
					actions, err = verify.ParseActions(c.actions)
					check(t, err)
				}
				e, discovery, logged := new(ends), new(memory.Discovery), new(log)
				l, err := ledger.Open(t.TempDir())
				check(t, err)
				m, err := manager.New(manager.Options{
					Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: []*weir.Filter{clumsy(e, c.setUp)}, Ledger: l,
					Logger: slog.New(slog.NewTextHandler(logged, nil)), Verify: &verify.Options{Actions: actions},
				})
				check(t, err)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				v := memory.NewVolume(1, "/m")
				discovery.Mount(v) // before anybody observes: nothing is missed
				go func() { ended <- m.Run(ctx) }()
				synctest.Wait()
				time.Sleep(c.setUp)
				check(t, v.Create("a"))
				synctest.Wait()
				s := m.Snapshot()
				if slot := s.Slot("ends", 1); slot.State.String() != c.state || slot.Why != c.why || slot.By != "" {
					t.Errorf("slot %+v, want %s: %s", slot, c.state, c.why)
				}
				if !slices.Equal(s.Violations, c.counts) || !slices.Equal(e.reasons, c.told) {
					t.Errorf("counted %v, want %v; told %q, want %q", s.Violations, c.counts, e.reasons, c.told)
				}
				if text := logged.take(); strings.Contains(text, "breaks a rule") != (len(c.counts) > 0) || strings.Contains(text, "action=remove") != (c.why != "") {
					t.Errorf("the log:\n%s", text)
				}
				if c.why != "" {
					gaps := l.Gaps()
					if len(gaps) != 1 || gaps[0].Cause != "taken away by weir: "+c.why || !gaps[0].Open() {
						t.Errorf("gaps %+v", gaps)
					}
					check(t, m.Attach("ends", "", 1))
					synctest.Wait()
					if state := m.Snapshot().Slot("ends", 1).State.String(); state != "attached" && state != "setting up" {
						t.Errorf("after an attach by hand it is %s", state)
					}
					time.Sleep(2 * c.setUp)
				}
				stop()
				check(t, <-ended)
				check(t, l.Close())
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
