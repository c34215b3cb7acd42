package manager_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/weirtest"
)

// Who unloads a filter, and how, stands in the ledger; by force, in the log too, with what the filter has said to it.
func TestWhoHasUnloadedAFilterIsKnown(t *testing.T) {
	const since = "since=2000-01-01T00:00:00.000Z"
	for name, c := range map[string]struct {
		refuses, mandatory bool
		by                 string
		cause              string
		log                string // empty: no record
	}{
		"politely":                  {false, false, "alice", "the filter was unloaded, by alice", ""},
		"by weir itself":            {false, true, "", "the filter was unloaded", ""},
		"by force":                  {false, true, "alice", "the filter was unloaded by force, by alice", "by=alice " + since + " refused=no left=nothing took=0s"},
		"by force, after a refusal": {true, true, "alice", "the filter was unloaded by force, by alice, and had refused: busy", "by=alice " + since + " refused=busy left=nothing took=0s"},
	} {
		t.Run(name, func(t *testing.T) {
			weirtest.Run(t, func(w *weirtest.World) {
				f := new(ends).filter()
				f.Unload = func(_ context.Context, mandatory bool) error {
					if c.refuses && !mandatory {
						return errors.New("busy")
					}
					return nil
				}
				w.Must(w.Load(f))
				v := w.Mount("/data")
				if c.refuses {
					if err := w.Manager.Unload(w.Context(), "ends", false, "bob"); weir.KindOf(err) != weir.KindRefused {
						t.Errorf("it has not refused: %v", err)
					}
				}
				w.Must(w.Manager.Unload(w.Context(), "ends", c.mandatory, c.by))
				w.Settle()
				if gaps := w.Gaps("ends", v); !slices.ContainsFunc(gaps, func(g ledger.Gap) bool { return g.Cause == c.cause }) {
					t.Errorf("gaps %+v, want one that is there since %s", gaps, c.cause)
				}
				const record = `level=WARN msg="a filter was unloaded by force" filter=ends `
				records := 0
				if c.log != "" {
					records = 1
				}
				if log := w.Log(); strings.Count(log, record) != records || !strings.Contains(log, c.log) {
					t.Errorf("the log does not have %q once:\n%s", c.log, log)
				}
			})
		})
	}
}

// A conversation that does not end is left behind, and told of, when it is: at the end of all.
func TestForceLeavesConversationsBehind(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		hang := make(chan struct{})
		f := new(ends).filter()
		f.Connections = 1
		f.Connect = func(context.Context, weir.Peer, weir.Port) error { <-hang; return nil }
		w.Must(w.Load(f))
		w.Tolerate("open-port")
		talk, end := context.WithCancel(w.Context())
		c, err := w.Manager.Connect(talk, "ends", weir.Peer{PID: 17})
		w.Must(err)
		w.Begin(func() error { defer end(); return c.Talk(nil) })
		w.Must(w.ForceUnload("ends"))
		if log := w.Log(); strings.Count(log, "unloaded by force") != 1 || !strings.Contains(log, `left="ends: a conversation with process 17"`) {
			t.Errorf("the log:\n%s", log)
		}
		close(hang)
	})
}
