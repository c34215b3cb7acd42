package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
)

// TestSourceIsUncovered starts weir while another volume hides the one that SOURCE is on, at SOURCE and above it. When
// that leaves nothing happens on the one below.
func TestSourceIsUncovered(t *testing.T) {
	for name, at := range map[string]struct{ source, over string }{
		"mounted at SOURCE, at it": {"", ""},
		"mounted above, at SOURCE": {"a/s", "a/s"},
		"mounted above, at that":   {"a/s", ""},
		"mounted above, between":   {"a/s", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			eachDiscovery(t, func(t *testing.T, fallback bool) {
				v, dst := voltest.New(t, "ext4"), voltest.New(t, "xfs").Dir
				src := mkdir(t, filepath.Join(v.Dir, at.source))
				write(t, filepath.Join(src, "f"), "1")
				o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
				r := start(t, o)
				r.equal(src, dst)
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}

				over := voltest.New(t, "ext4", voltest.At(filepath.Join(v.Dir, at.over)))
				r = start(t, o)
				phase := replicate.PhaseSourceAbsent
				if src == over.Dir {
					phase = replicate.PhaseHeld
				}
				r.awaitPhase(src, phase)
				if err := r.m.manager.Wait(t.Context(), manager.Snapshot.Settled); err != nil {
					t.Fatal(err)
				}
				over.Unmount()
				r.awaitPhase(src, replicate.PhaseInSync)
				write(t, filepath.Join(src, "f"), "2")
				r.awaitText(filepath.Join(dst, "f"), "2")
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestSourceComesBackByARename starts weir while SOURCE is away, and while it runs moves it away and back: of that no
// event of mounts tells.
func TestSourceComesBackByARename(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	s.end()
	away := s.src + ".away"
	rename(t, s.src, away)
	s.begin()
	for _, text := range []string{"2", "3"} {
		s.awaitPhase(s.src, replicate.PhaseSourceAbsent)
		if got, err := os.ReadFile(s.at("f")); err != nil || len(got) == 0 {
			t.Fatal(err)
		}
		rename(t, away, s.src)
		write(t, s.in("f"), text)
		s.awaitText(s.at("f"), text)
		s.alike()
		rename(t, s.src, away)
		s.mountsChange()
	}
	rename(t, away, s.src)
	s.alike()
	s.end()
}

// mountsChange mounts a volume, which has weir look at its places.
func (s *scene) mountsChange() {
	s.t.Helper()
	v := voltest.New(s.t, "tmpfs")
	s.t.Cleanup(v.Unmount)
}
