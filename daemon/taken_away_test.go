package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestSourceIsTakenAway has renames take the source away, or put something else in its place, in directories beside it in
// which there was work before, so that they count as foreign.
func TestSourceIsTakenAway(t *testing.T) {
	ways := map[string]struct {
		take  func(t *testing.T, s *scene, above string)
		phase replicate.Phase
	}{
		"renamed": {func(t *testing.T, s *scene, above string) {
			rename(t, s.src, s.src+" away")
		}, replicate.PhaseSourceAbsent},
		"moved": {func(t *testing.T, s *scene, above string) {
			rename(t, s.src, filepath.Join(above, "beside", "away"))
		}, replicate.PhaseSourceAbsent},
		"removed": {func(t *testing.T, s *scene, above string) {
			remove(t, s.src)
		}, replicate.PhaseSourceAbsent},
		"parent renamed": {func(t *testing.T, s *scene, above string) {
			rename(t, filepath.Join(above, "parent"), filepath.Join(above, "away"))
		}, replicate.PhaseSourceAbsent},
		"grandparent moved": {func(t *testing.T, s *scene, above string) {
			rename(t, above, filepath.Join(s.from.Dir, "beside", "away"))
		}, replicate.PhaseSourceAbsent},
		"exchanged": {func(t *testing.T, s *scene, above string) {
			exchange(t, s.src, filepath.Join(above, "other/s"))
		}, replicate.PhaseHeld},
		"parent exchanged": {func(t *testing.T, s *scene, above string) {
			exchange(t, filepath.Join(above, "other"), filepath.Join(above, "parent"))
		}, replicate.PhaseHeld},
	}
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				s, above := newDeepScene(t, fallback)
				write(t, s.in("file"), "1")
				s.begin()
				s.alike()
				s.workBeside()
				way.take(t, s, above)
				s.awaitPhase(s.src, way.phase)
				if todo := s.unit(s.src, s.dst).Todo; way.phase == replicate.PhaseSourceAbsent && !strings.Contains(todo, "put "+s.src+" back") {
					t.Errorf("what helps is %q", todo)
				}
				s.end()
			})
		}
	})
}

// newDeepScene is a scene whose source is two directories below a directory, beside which there are others.
func newDeepScene(t *testing.T, fallback bool) (s *scene, above string) {
	t.Helper()
	s = newScene(t, "ext4", "xfs", fallback)
	above = filepath.Join(s.from.Dir, "above")
	s.src = mkdir(t, filepath.Join(above, "parent/s"))
	s.o.Source = s.src
	for _, dir := range []string{"beside", "above/beside", "above/parent/beside"} {
		mkdir(t, filepath.Join(s.from.Dir, dir))
	}
	write(t, filepath.Join(mkdir(t, filepath.Join(above, "other/s")), "strange"), "x")
	return s, above
}

// workBeside writes into the directories beside the source and above it, and waits until that was dealt with.
func (s *scene) workBeside() {
	s.t.Helper()
	for _, dir := range []string{"beside", "above/beside", "above/parent/beside", "above/other"} {
		write(s.t, filepath.Join(s.from.Dir, dir, "work"), "1")
		write(s.t, filepath.Join(s.from.Dir, dir, "..", "work"), "1")
	}
	write(s.t, s.in("after"), "2")
	s.alike()
}

// TestEmptySourceIsReplaced renames a directory over a source that is empty, of which only the directory above is told.
func TestEmptySourceIsReplaced(t *testing.T) {
	s, above := newDeepScene(t, false)
	s.begin()
	s.workBeside()
	remove(t, s.in("after"))
	s.alike()
	if err := unix.Rename(filepath.Join(above, "other/s"), s.src); err != nil { // os.Rename refuses that.
		t.Fatal(err)
	}
	s.awaitText(s.at("strange"), "x")
	s.alike()
	s.end()
}

// TestSourceIsTakenAwayWhileItIsCopied renames a source while its first copy goes on, which then would take half a minute.
func TestSourceIsTakenAwayWhileItIsCopied(t *testing.T) {
	s, _ := newDeepScene(t, false)
	s.o.Bandwidth = 1 << 20
	for n := range 30 {
		write(t, s.in(name("f", n)), strings.Repeat("x", 1<<20))
	}
	s.begin()
	s.await("something is copied", func() bool { return s.m.Status().Copied > 1 })
	rename(t, s.src, s.src+" away")
	s.awaitPhase(s.src, replicate.PhaseSourceAbsent)
	s.end()
}

// TestVolumeOfTheSourceIsAway unmounts the volume that the source is a directory of: what helps is to mount it.
func TestVolumeOfTheSourceIsAway(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s, _ := newDeepScene(t, fallback)
		s.begin()
		s.alike()
		s.from.Unmount()
		s.awaitPhase(s.src, replicate.PhaseSourceAbsent)
		s.await("what helps", func() bool { return strings.HasPrefix(s.unit(s.src, s.dst).Todo, "mount it") })
		s.end()
	})
}

// TestMountedSourceGoesWithItsDirectory renames the directory in which the source is mounted, on a volume that is not followed.
func TestMountedSourceGoesWithItsDirectory(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s, above := newDeepScene(t, fallback)
		v := voltest.New(t, "ext4", voltest.At(s.src))
		s.begin()
		s.workBeside()
		rename(t, filepath.Join(above, "parent"), filepath.Join(above, "away"))
		t.Cleanup(func() { _ = os.Rename(filepath.Join(above, "away"), filepath.Join(above, "parent")) })
		s.awaitPhase(v.Dir, replicate.PhaseSourceAbsent)
		rename(t, filepath.Join(above, "away"), filepath.Join(above, "parent"))
		write(t, s.in("back"), "1")
		s.awaitText(s.at("back"), "1")
		s.alike()
		s.end()
	})
}

func exchange(t testing.TB, one, other string) {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
}
