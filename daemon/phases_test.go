package daemon

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
)

// TestPhasesOfWork slows copies down so much that the phases that a replica goes through can be seen: the first
// comparison, a change that is being copied, and rest.
func TestPhasesOfWork(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	s.o.Bandwidth = 4 << 20
	for n := range 4 {
		write(t, s.in(fmt.Sprint("f", n)), string(bytes.Repeat([]byte{byte(n)}, 1<<20)))
	}
	s.begin()
	s.await("comparing", func() bool {
		u := s.unit(s.src, s.dst)
		return u.Phase == replicate.PhaseComparing && u.Reason == "the volume has come" && u.Backlog > 0
	})
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.alike()
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
