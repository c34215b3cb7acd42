package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/ledger"
)

// unremembered is how the cause of such a gap begins.
const unremembered = "the ledger was lost or damaged"

// forgetful are the gaps that are there because the ledger was lost or damaged.
func (s *scene) forgetful() (open, closed int) {
	for _, g := range s.m.ledger.Gaps() {
		switch {
		case !strings.HasPrefix(g.Cause, unremembered):
		case g.Open():
			open++
		default:
			closed++
		}
	}
	return open, closed
}

// TestDamagedLedgerIsAGap damages the ledger while nothing runs: on each volume that was followed there is a gap until that
// has been compared, also on one that comes late.
func TestDamagedLedgerIsAGap(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"emptied": func([]byte) []byte { return nil },
		"cut":     func(all []byte) []byte { return all[:len(all)/2-1] },
		"in the middle": func(all []byte) []byte {
			copy(all[bytes.IndexByte(all, '\n')+20:], "garbage")
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "ext4", "ext4", false)
			nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
			s.begin()
			s.alike()
			if log := s.log.String(); strings.Contains(log, "ledger") {
				t.Errorf("a ledger that is new is told:\n%s", log)
			}
			s.end()
			path := filepath.Join(s.o.State, "ledger")
			all, err := os.ReadFile(path)
			ok(t, err)
			ok(t, os.WriteFile(path, damage(all), 0o600))
			nested.Unmount()
			s.begin()
			s.quietGap(1, 1)
			for _, g := range s.m.ledger.Gaps() {
				if strings.HasPrefix(g.Cause, unremembered) && (!g.From.IsZero() || g.Open() != g.Ended().IsZero()) {
					t.Errorf("a gap does not begin at a time that is not known, or not last until the volume was compared: %+v", g)
				}
			}
			nested.Mount()
			s.quietGap(0, 2)
			if log := s.log.String(); !strings.Contains(log, "the ledger was lost or damaged") || !strings.Contains(log, path) {
				t.Errorf("nothing is told:\n%s", log)
			}
			s.end()
			s.begin()
			s.end()
			if log := s.log.String(); strings.Contains(log, "lost or damaged") {
				t.Errorf("it is told again:\n%s", log)
			}
		})
	}
}

// TestVolumeWithoutIdentityIsKnownAgain mirrors a FUSE file system, which nothing tells from others, and restarts weir while it
// stays mounted, and while its ledger is lost: the comparison of the place closes the gaps.
func TestVolumeWithoutIdentityIsKnownAgain(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	backing := mkdir(t, filepath.Join(s.from.Dir, "backing"))
	voltest.Bindfs(t, backing, mkdir(t, s.in("fuse")))
	write(t, filepath.Join(backing, "f"), "1")
	s.begin()
	s.alike()
	for _, lost := range []bool{false, true, false} {
		s.end()
		if lost {
			remove(t, filepath.Join(s.o.State, "ledger"))
		}
		s.begin()
		s.await("the gaps of what was compared are closed", func() bool {
			gaps := s.m.ledger.Gaps()
			return len(gaps) > 1 && !slices.ContainsFunc(gaps, ledger.Gap.Open)
		})
	}
	s.end()
}

// quietGap waits until so many gaps of a damaged ledger are open and closed.
func (s *scene) quietGap(open, closed int) {
	s.t.Helper()
	s.await("what was compared has no gap", func() bool {
		o, c := s.forgetful()
		return o == open && c == closed
	})
}
