package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/ledger"
)

// overdueGap returns the gap of a scan that did not come, if there is one.
func (s *scene) overdueGap() (gap ledger.Gap, any bool) {
	for _, g := range s.m.ledger.Gaps() {
		if strings.HasPrefix(g.Cause, "its scan is overdue") {
			return g, true
		}
	}
	return gap, false
}

// overdueAt reports whether the replicator says of a path that it has not looked there in time.
func (s *scene) overdueAt(path string) bool {
	for _, slot := range s.m.manager.Snapshot().Slots {
		for _, remark := range slot.Remarks {
			if remark.Path == path && !remark.Overdue.IsZero() {
				return true
			}
		}
	}
	return false
}

// newServed makes a scene in which a process serves a volume below the source, which is scanned each second: the directory
// backing beside the source.
func newServed(t *testing.T) (s *scene, slow string, server *os.Process) {
	t.Helper()
	s = newScene(t, "ext4", "xfs", false)
	s.o.ScanInterval = time.Second
	slow = mkdir(t, s.in("slow"))
	return s, slow, voltest.Bindfs(t, mkdir(t, filepath.Join(s.from.Dir, "backing")), slow)
}

// TestVolumeThatHangsIsLeftBehind stops weir while a volume hangs that can only be scanned: nobody knows what has changed there.
func TestVolumeThatHangsIsLeftBehind(t *testing.T) {
	s, slow, server := newServed(t)
	s.begin()
	s.alike()
	resume := voltest.Hang(t, server)
	write(t, filepath.Join(s.from.Dir, "backing/late"), "1")
	s.awaitPhase(slow, replicate.PhaseWaiting)
	s.endBehind()
	resume()
	s.begin()
	s.awaitText(s.at("slow/late"), "1")
	s.alike()
	s.end()
}

// TestVolumeThatFailsIsLeftBehind kills the server of a volume, which stays mounted and fails from then on.
func TestVolumeThatFailsIsLeftBehind(t *testing.T) {
	s, slow, server := newServed(t)
	s.begin()
	s.alike()
	ok(t, server.Kill())
	s.awaitPhase(slow, replicate.PhaseWaiting)
	s.endBehind()
}

// TestScanThatDoesNotComeIsAGap has a volume hang that can only be scanned, and looks while it does, and afterwards.
func TestScanThatDoesNotComeIsAGap(t *testing.T) {
	s, slow, server := newServed(t)
	write(t, filepath.Join(slow, "f"), "1")
	s.begin()
	s.alike()
	time.Sleep(2 * s.o.ScanInterval)
	if _, any := s.overdueGap(); any || s.overdueAt(slow) {
		t.Errorf("a volume that is scanned in time is overdue: %+v", s.m.ledger.Gaps())
	}

	stopped := time.Now()
	resume := voltest.Hang(t, server)
	s.within(20*time.Second, "the scan is overdue", func() bool {
		_, any := s.overdueGap()
		return any && s.overdueAt(slow)
	})
	gap, _ := s.overdueGap()
	if early := stopped.Sub(gap.From); !gap.Open() || early < -s.o.ScanInterval || early > 3*s.o.ScanInterval {
		t.Errorf("it hangs since %v, the gap is %+v", stopped, gap)
	}
	resume()
	ok(t, os.WriteFile(filepath.Join(slow, "f"), []byte("2"), 0o644))
	s.awaitText(s.at("slow/f"), "2")
	s.await("the gap is closed", func() bool {
		gap, _ := s.overdueGap()
		return !gap.Open() && !s.overdueAt(slow)
	})
	s.alike()
	s.end()
}
