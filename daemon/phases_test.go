package daemon

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
)

// TestPhasesOfWork goes through the phases of a replica that needs nobody: it is compared, a change is copied, slowly enough
// to be seen, and then it rests.
func TestPhasesOfWork(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	s.o.Bandwidth = 4 << 20
	populate(t, s.in("tree"), 20, 200)
	s.begin()
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.alike()
	s.end()
	s.begin()
	s.await("comparing", func() bool {
		u := s.unit(s.src, s.dst)
		return u.Phase == replicate.PhaseComparing && u.Reason == "the volume has come" && u.Backlog > 0
	})
	s.awaitPhase(s.src, replicate.PhaseInSync)
	for _, size := range []int{4 << 20, 12 << 20} { // In a batch, and beside it.
		made := filepath.Join(s.from.Dir, "made")
		write(t, made, string(bytes.Repeat([]byte("live"), size/4)))
		rename(t, made, s.in("live"))
		s.await("copying", func() bool {
			u := s.unit(s.src, s.dst)
			return u.Phase == replicate.PhaseCopying && u.Backlog > 0 && u.Lag != ""
		})
		s.alike()
	}
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.end()
}
