package daemon

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
)

// many writes files into a directory.
func many(t *testing.T, dir string, n int) {
	t.Helper()
	mkdir(t, dir)
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprint(filepath.Base(dir), i)), fmt.Sprint(i))
	}
}

// names counts what is in the directories that match a pattern.
func (s *scene) names(pattern string) (n int) {
	s.t.Helper()
	dirs, err := filepath.Glob(s.at(pattern))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, dir := range dirs {
		list, err := os.ReadDir(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		n += len(list)
	}
	return n
}

// TestHeldMakesRoom renames a directory to the name of one whose deletion the brake holds. The replica shows it there, and
// keeps the other one where it says, until there is consent.
func TestHeldMakesRoom(t *testing.T) {
	for _, c := range []struct {
		to      string
		stopped bool // while the directory is renamed
	}{{"ext4", false}, {"xfs", false}, {"xfs", true}} {
		t.Run(fmt.Sprintf("%s, stopped=%v", c.to, c.stopped), func(t *testing.T) { heldMakesRoom(t, c.to, c.stopped) })
	}
}

func heldMakesRoom(t *testing.T, to string, stopped bool) {
	s := newScene(t, "ext4", to, false)
	s.o.Brake = brake(t, "100")
	many(t, s.in("old"), 300)
	many(t, s.in("cur"), 200)
	s.begin()
	s.alike()
	was := inode(t, s.at("cur/cur7"))
	remove(t, s.in("old"))
	s.awaitPhase(s.src, replicate.PhaseBraked)
	s.quiet(10 * time.Second)
	held := s.names("old")
	if held < 200 {
		t.Fatalf("%d of what is held are there", held)
	}
	if stopped {
		s.end()
	}
	rename(t, s.in("cur"), s.in("old"))
	mkdir(t, s.in("cur"))
	if stopped {
		s.begin()
	}
	write(t, s.in("old/brandnew"), "1")
	write(t, s.in("cur/brandnew"), "2")
	s.awaitText(s.at("cur/brandnew"), "2")
	s.equal(s.src, s.dst)
	if inode(t, s.at("old/cur7")) != was {
		t.Error("it was copied anew")
	}
	for range 2 {
		s.awaitPhase(s.src, replicate.PhaseBraked)
		s.quiet(10 * time.Second)
		told := s.listed()
		if len(told) != 1 || !strings.HasPrefix(told[0], ".weir/parked/") || s.names(told[0]) != held || s.names(".weir/parked/*/*") != held {
			t.Fatalf("listed are %q, and %d of %d are there", told, s.names(".weir/parked/*/*"), held)
		}
		s.end()
		s.begin()
	}
	s.end()
	s.o.Brake = brake(t, "off")
	s.begin()
	s.spotless(s.src, s.dst)
	s.await("what was held is gone", func() bool { return len(s.parked("*")) == 0 })
	s.end()
}

// TestHeldFilesMakeRoom renames files to the names of others whose deletion the brake holds, and makes some of those anew.
func TestHeldFilesMakeRoom(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped=%v", stopped), func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			s.o.Brake = brake(t, "10")
			many(t, s.in("old"), 30)
			many(t, s.in("cur"), 30)
			s.begin()
			s.alike()
			for n := range 30 {
				remove(t, s.in(fmt.Sprint("old/old", n)))
			}
			s.await("most are held", func() bool { return len(s.listed()) == 20 })
			s.quiet(10 * time.Second)
			held := s.listed()
			if stopped {
				s.end()
			}
			for n, path := range held {
				if n < 5 {
					write(t, s.in(path), "anew")
				} else {
					rename(t, s.in(fmt.Sprint("cur/cur", n)), s.in(path))
				}
			}
			if stopped {
				s.begin()
			}
			s.equal(s.src, s.dst)
			s.awaitPhase(s.src, replicate.PhaseBraked)
			s.quiet(10 * time.Second)
			if told := s.listed(); len(s.parked("*")) != 15 || len(told) != 15 || !strings.HasPrefix(told[0], ".weir/parked/") {
				t.Errorf("parked are %q, listed %q", s.parked("*"), told)
			}
			s.end()
			s.o.Brake = brake(t, "off")
			s.begin()
			s.spotless(s.src, s.dst)
			s.end()
		})
	}
}

// TestWhatComesMakesUpForWhatIsHeld adds files while the brake holds as many. What takes the place of others is not more.
func TestWhatComesMakesUpForWhatIsHeld(t *testing.T) {
	for _, how := range []string{"followed", "renamed over", "stopped"} {
		t.Run(how, func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			s.o.Brake = brake(t, "100")
			many(t, s.in("old"), 400)
			many(t, s.in("cur"), 200)
			s.begin()
			s.alike()
			remove(t, s.in("old"))
			s.awaitPhase(s.src, replicate.PhaseBraked)
			if how == "renamed over" {
				rename(t, s.in("cur"), s.in("old"))
			}
			many(t, s.in("new"), 250)
			for n := range 200 {
				write(t, s.in("saved"), "anew")
				if how == "renamed over" {
					rename(t, s.in("saved"), s.in(fmt.Sprint("old/cur", n)))
				} else {
					rename(t, s.in("saved"), s.in(fmt.Sprint("cur/cur", n)))
				}
			}
			s.awaitText(s.at("new/new249"), "249")
			s.quiet(10 * time.Second)
			s.awaitPhase(s.src, replicate.PhaseBraked)
			if how == "stopped" {
				s.end()
				s.begin()
				s.awaitPhase(s.src, replicate.PhaseBraked)
			}
			many(t, s.in("more"), 200)
			s.alike()
			s.awaitPhase(s.src, replicate.PhaseInSync)
			if len(s.parked("*")) != 0 || len(s.listed()) != 0 {
				t.Errorf("parked are %q, listed %q", s.parked("*"), s.listed())
			}
			s.end()
		})
	}
}

// TestLiveFilesAreVisible changes a tree at random while the brake lets hardly anything go: whatever it holds, the replica
// shows all that the source has. With consent it shows nothing else.
func TestLiveFilesAreVisible(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			s.o.Brake = brake(t, "2")
			r := rand.New(rand.NewPCG(seed, 0))
			gone := func(path string) bool { return absent(s.in(path)) }
			s.begin()
			for range 3 {
				for range 4 {
					for range 25 {
						disturb(r, s.src)
					}
					s.equalBut(s.src, s.dst, gone)
				}
				s.end()
				for range 10 {
					disturb(r, s.src)
				}
				s.begin()
				s.equalBut(s.src, s.dst, gone)
			}
			s.end()
			s.o.Brake = brake(t, "off")
			s.begin()
			s.spotless(s.src, s.dst)
			s.end()
		})
	}
}
