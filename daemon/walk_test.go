package daemon

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestDirectoriesMoveUnderAWalk changes files while weir is stopped, and renames the directories that they are in, with what is
// above some of them, while the walk goes on that is to find them: some come from where it is still to be to where it has been.
func TestDirectoriesMoveUnderAWalk(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	const dirs = 60
	changed := func(n int) string { return s.in(name("d", n) + "/in/moves/sub/f") }
	for n := range dirs {
		populate(t, s.in(name("d", n)), 2, 100)
		mkdir(t, filepath.Dir(changed(n)))
		write(t, changed(n), "1")
	}
	s.begin()
	s.alike()
	s.end()
	for n := range dirs {
		write(t, changed(n), name("changed ", n))
	}
	s.begin()
	for s.m.Status().Looked == 0 {
		time.Sleep(time.Millisecond)
	}
	for n := range dirs {
		rename(t, s.in(name("d", n)+"/in/moves"), s.in(name("moved", n)))
	}
	s.alike()
	s.end()
}
