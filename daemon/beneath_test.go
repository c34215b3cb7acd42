package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// beneath returns the problem that tells of what lies in the bare mount point at a path below the source, if there is one.
func (s *scene) beneath(rel string) (found replicate.Problem, any bool) {
	for _, p := range s.m.Status().Problems {
		if p.Path == rel && strings.Contains(p.Reason, "bare mount point") {
			return p, true
		}
	}
	return found, false
}

func (s *scene) awaitBeneath(rel string, want bool) {
	s.t.Helper()
	s.await("what is told of the bare mount point "+rel, func() bool { _, any := s.beneath(rel); return any == want })
}

// warnings counts what was logged of bare mount points.
func (s *scene) warnings() int {
	return strings.Count(s.log.String(), "a bare mount point holds data that is not copied")
}

// TestMountedForAMoment mounts a volume over a directory that holds data, and takes it away again: that the data is not
// copied any more is told once for each time that it comes to be so, until somebody says what is to become of it.
func TestMountedForAMoment(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		write(t, filepath.Join(mkdir(t, s.in("p/m")), "data"), "1")
		at, empty := s.in("p/m"), mkdir(t, s.in("empty"))
		s.begin()
		s.alike()
		over := voltest.New(t, "tmpfs", voltest.At(at))
		other := voltest.New(t, "tmpfs", voltest.At(empty))
		s.alike()
		over.Unmount()
		other.Unmount()
		s.awaitPhase(empty, replicate.PhaseSourceAbsent)
		s.awaitBeneath("p/m", true)
		if u := s.unit(at, s.dst); u.Phase != replicate.PhaseSourceAbsent || u.Problems != 1 || !strings.Contains(u.Reason, "data in it that is not copied") {
			t.Errorf("told of the place: %+v", u)
		}
		if p, _ := s.beneath("p/m"); !strings.Contains(p.Reason, "--forget "+at) || p.Target != s.dst {
			t.Errorf("told of the data: %+v", p)
		}
		s.await("the warning", func() bool { return s.warnings() == 1 })
		if p, any := s.beneath("empty"); any {
			t.Errorf("nothing lies there: %+v", p)
		}

		t.Log("it is put away, something else comes, the volume comes back")
		remove(t, filepath.Join(at, "data"))
		s.awaitBeneath("p/m", false)
		write(t, filepath.Join(at, "later"), "2")
		s.awaitBeneath("p/m", true)
		over.Mount()
		s.awaitBeneath("p/m", false)
		over.Unmount()
		s.awaitBeneath("p/m", true)
		s.end()
		if _, any := s.beneath("p/m"); !any || s.warnings() != 3 {
			t.Errorf("after the stop it is told: %v, with %d warnings before\n%s", any, s.warnings(), s.log)
		}

		t.Log("while weir starts, and with --forget")
		s.begin()
		s.awaitBeneath("p/m", true)
		s.end()
		s.o.Forget = []string{at, empty}
		s.begin()
		s.awaitText(s.at("p/m/later"), "2")
		s.alike()
		s.end()
	})
}

// TestDataBeneathTheSource unmounts the volume that is the source, below which something lies, and lets it come and go.
func TestDataBeneathTheSource(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		write(t, s.in("data"), "1")
		v := voltest.New(t, "ext4", voltest.At(s.src))
		s.begin()
		s.alike()
		v.Unmount()
		s.awaitBeneath(".", true)
		if err := os.Remove(s.in("data")); err != nil {
			t.Fatal(err)
		}
		s.awaitBeneath(".", false)
		mkdir(t, s.in("dir"))
		s.awaitBeneath(".", true)
		v.Mount()
		s.awaitBeneath(".", false)
		s.alike()
		s.end()
	})
}

// TestMountedForLessThanAMoment mounts volumes over directories that hold data, and takes them away while they are being found:
// what lies there is copied, or told of, and can be given up.
func TestMountedForLessThanAMoment(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		var list []string
		for n := range 24 {
			list = append(list, name("m", n))
			write(t, filepath.Join(mkdir(t, s.in(list[n])), "data"), "1")
		}
		s.begin()
		s.alike()
		for n, rel := range list {
			v := voltest.New(t, "tmpfs", voltest.At(s.in(rel)))
			time.Sleep(time.Duration(n%8) * 3 * time.Millisecond)
			v.Unmount()
		}
		for _, rel := range list {
			s.await(rel+" to be copied or told of", func() bool {
				_, any := s.beneath(rel)
				return any == absent(s.at(rel+"/data"))
			})
		}
		for _, rel := range list {
			if _, any := s.beneath(rel); any {
				s.o.Forget = append(s.o.Forget, s.in(rel))
			}
		}
		s.end()
		s.begin()
		s.alike()
		s.end()
	})
}
