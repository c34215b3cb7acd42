package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestUnmountedSourceIsAbsentAlsoWhileItWasDetached takes the filter from the volume that is mounted at SOURCE itself, and then
// unmounts that.
func TestUnmountedSourceIsAbsentAlsoWhileItWasDetached(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
		s.src, s.o.Source = nested.Dir, nested.Dir
		write(t, s.in("a"), "1")
		s.begin()
		s.alike()
		leavesAndComes := func() {
			t.Helper()
			nested.Unmount()
			s.awaitPhase(s.src, replicate.PhaseSourceAbsent)
			if u := s.unit(s.src, s.dst); u.Phase != replicate.PhaseSourceAbsent || u.Reason != "only its bare mount point is there" || u.Todo == "" {
				t.Errorf("told: %+v", u)
			}
			nested.Mount()
		}
		s.detach(s.src, attachAgain)
		leavesAndComes()
		s.alike()
		ok(t, s.m.manager.Unload(t.Context(), "replicate", true, "root"))
		s.awaitDetached(s.src, "the filter is unloaded", "weir load replicate:")
		leavesAndComes()
		ok(t, controlled{s.m.manager, s.m}.Load("replicate", nil))
		s.alike()
		s.end()
	})
}

// TestSourceThatIsThereIsNotCalledAbsent takes the filter away and gives it back again and again: whenever somebody asks, the
// source is there.
func TestSourceThatIsThereIsNotCalledAbsent(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
		s.begin()
		s.alike()
		over, asked := make(chan struct{}), make(chan replicate.UnitStatus, 1)
		go func() {
			defer close(asked)
			for {
				select {
				case <-over:
					return
				default:
				}
				for _, u := range s.m.Status().Units {
					if u.Phase == replicate.PhaseSourceAbsent {
						asked <- u
						return
					}
				}
			}
		}()
		for range 20 {
			for _, path := range []string{s.src, nested.Dir} {
				volume := s.volumeAt(path)
				ok(t, s.m.manager.Detach(t.Context(), "replicate", "", volume, "root"))
				ok(t, s.m.manager.Attach("replicate", "", volume))
			}
			ok(t, s.m.manager.Unload(t.Context(), "replicate", true, "root"))
			ok(t, controlled{s.m.manager, s.m}.Load("replicate", nil))
		}
		s.alike()
		close(over)
		if u, any := <-asked; any {
			t.Errorf("a source that is there is called absent: %+v", u)
		}
		s.end()
	})
}

// TestAbsentSourceIsToldOnce starts without a volume, which the phase says for each target.
func TestAbsentSourceIsToldOnce(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
	s.begin()
	s.alike()
	s.end()
	nested.Unmount()
	s.begin()
	s.awaitPhase(nested.Dir, replicate.PhaseSourceAbsent)
	time.Sleep(1500 * time.Millisecond) // What has failed for a second is told.
	if log := s.log.String(); strings.Contains(log, "replica waits") {
		t.Error(log)
	}
	s.end()
}
