package daemon

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

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

// TestProgressWithinAFile copies large files so slowly that bytes and lag are seen to grow: on a walk, and by an event.
func TestProgressWithinAFile(t *testing.T) {
	const size = 12 << 20
	s := newScene(t, "ext4", "ext4", false)
	s.o.Bandwidth = 8 << 20
	populate(t, s.in("tree"), 2, 20)
	write(t, s.in("first"), string(bytes.Repeat([]byte("walk"), size/4)))
	begun, already := time.Now(), int64(0)
	grows := func() {
		t.Helper()
		var bytes int64
		var lag time.Duration
		for range 2 { // More of both than before.
			s.await("some of a file is copied", func() bool {
				u, more := s.unit(s.src, s.dst), s.m.Status().Read-already
				now, _ := time.ParseDuration(u.Lag)
				if now > time.Since(begun)+time.Millisecond || more > size+1<<20 {
					t.Fatalf("%d bytes, lag %s after %s", more, now, time.Since(begun))
				}
				if u.Phase != replicate.PhaseCopying || u.Backlog == 0 || more <= bytes || more >= size || now <= lag {
					return false
				}
				bytes, lag = more, now
				return true
			})
		}
		s.alike()
		s.awaitPhase(s.src, replicate.PhaseInSync)
	}
	s.begin()
	grows()
	time.Sleep(100 * time.Millisecond) // The lag of what comes next is not counted from before.
	already, begun = s.m.Status().Read, time.Now()
	write(t, filepath.Join(s.from.Dir, "made"), string(bytes.Repeat([]byte("live"), size/4)))
	rename(t, filepath.Join(s.from.Dir, "made"), s.in("second"))
	grows()
	s.end()
}
