package daemon

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
)

// TestWalkShowsProgress copies files slowly that were there at the start: they appear one after the other, and are
// counted, in the phase copying.
func TestWalkShowsProgress(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	const files = 60
	content := strings.Repeat("progress", 25_000)
	for n := range files {
		dir := s.in("")
		if n%3 > 0 {
			dir = mkdir(t, s.in(name("d", n%3)))
		}
		write(t, filepath.Join(dir, name("f", n)), content)
	}
	s.o.Bandwidth = 4 << 20
	s.begin()
	seen := make(map[int64]bool)
	s.await("all is copied", func() bool {
		status := s.m.Status()
		if n := status.Copied; n > 0 && n < files {
			seen[n] = true
			if phase := status.Units[0].Phase; phase != replicate.PhaseCopying {
				t.Errorf("%d of %d files are copied, and it is %s", n, files, phase)
			}
		}
		return status.Copied == files
	})
	if len(seen) < 4 {
		t.Errorf("the number of files was seen to be %v", seen)
	}
	s.alike()
	s.end()
}
