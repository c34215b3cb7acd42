package daemon

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// TestStateBelowSource keeps the state directory in the tree that is replicated: what weir writes there makes no work.
func TestStateBelowSource(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		write(t, s.in("a"), "1")
		s.o.State = s.in("var/lib/state")
		mkdir(t, filepath.Dir(s.o.State))
		s.begin()
		s.awaitText(s.at("a"), "1")
		s.awaitPhase(s.src, replicate.PhaseInSync)
		write(t, s.in("var/lib/other"), "2")
		s.awaitText(s.at("var/lib/other"), "2")
		if notes := s.m.Status().Notes; len(notes) != 1 || notes[0].Path != "var/lib/state" {
			t.Errorf("not followed: %v", notes)
		}
		before := s.m.Status()
		still(t, "what is copied", func() bool { return s.m.Status().Copied == before.Copied })
		s.end()
		if got := strings.Join(files(t, s.dst), " "); got != "a var/lib/other" {
			t.Errorf("the replica has %s", got)
		}
		s.begin()
		s.awaitPhase(s.src, replicate.PhaseInSync)
		s.end()
		if n := s.m.Status().Copied; n != 0 {
			t.Errorf("%d files were copied anew", n)
		}
	})
}

func TestStateOverTheTreesIsRefused(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	for _, state := range []string{s.src, s.from.Dir, filepath.Join(s.dst, "state"), s.to.Dir} {
		o := s.o
		o.State = state
		m, err := Open(t.Context(), o)
		if weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: %v, want a refusal", state, err)
		}
		if err == nil {
			_ = m.Close()
		}
	}
	if left := files(t, s.to.Dir); len(left) > 0 || !absent(filepath.Join(s.dst, ".weir")) {
		t.Errorf("left on the target: %v", left)
	}
}
