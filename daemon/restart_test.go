package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// fsPairs are combinations of source and target in which each type stands once on each side.
func fsPairs(t *testing.T, fn func(t *testing.T, from, to string)) {
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) { fn(t, pair[0], pair[1]) })
	}
}

// TestRestartReadsNothing starts again where nothing has changed, and where only names and metadata have.
func TestRestartReadsNothing(t *testing.T) {
	fsPairs(t, func(t *testing.T, from, to string) {
		s := newScene(t, from, to, false)
		populate(t, s.src, 10, 30)
		write(t, s.in("large"), strings.Repeat("x", 1<<20))
		s.begin()
		s.alike()
		time.Sleep(50 * time.Millisecond) // What was read in the clock tick of its last change is compared once.
		s.end()

		s.begin()
		s.alike()
		if st := s.m.Status(); st.Read != 0 || st.Written != 0 || st.Copied != 0 || len(st.Aside) != 0 {
			t.Errorf("without a change: %d bytes read, %d written, %d files copied, set aside %v", st.Read, st.Written, st.Copied, st.Aside)
		}
		s.end()

		number, large := inode(t, s.at("d003/f003")), inode(t, s.at("large"))
		rename(t, s.in("d003"), s.in("d004/renamed"))
		rename(t, s.in("large"), s.in("d001/large"))
		if err := os.Link(s.in("d001/large"), s.in("link")); err != nil {
			t.Fatal(err)
		}
		remove(t, s.in("d005"))
		remove(t, s.in("d006/f001"))
		if err := os.Chmod(s.in("d007/f001"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setxattr(s.in("d007/f002"), "user.a", []byte("b"), 0); err != nil {
			t.Fatal(err)
		}
		s.begin()
		s.alike()
		if st := s.m.Status(); st.Written != 0 || st.Copied != 0 || len(st.Aside) != 0 {
			t.Errorf("after renames: %d bytes read, %d written, %d files copied, set aside %v", st.Read, st.Written, st.Copied, st.Aside)
		} else if st.Read > 1<<20+1000 { // A changed ctime may hide a store through a mapping: those files are compared.
			t.Errorf("after renames %d bytes were read", st.Read)
		}
		if inode(t, s.at("d004/renamed/f003")) != number || inode(t, s.at("link")) != large {
			t.Error("what was renamed was copied again")
		}
		s.end()
	})
}

// TestRestartOnTmpfsCountsWhatItReads has files of which the content alone tells whether they have changed, and an empty one.
func TestRestartOnTmpfsCountsWhatItReads(t *testing.T) {
	s := newScene(t, "tmpfs", "tmpfs", false)
	write(t, s.in("f"), strings.Repeat("x", 1000))
	write(t, s.in("empty"), "")
	s.begin()
	s.alike()
	s.end()
	s.begin()
	s.alike()
	if st := s.m.Status(); st.Read != 1000 || st.Copied != 0 {
		t.Errorf("%d bytes were read, and %d files copied", st.Read, st.Copied)
	}
	s.end()
}

// TestReplicaEditedWhileStopped changes the replica in every way while weir is stopped.
func TestReplicaEditedWhileStopped(t *testing.T) {
	fsPairs(t, func(t *testing.T, from, to string) {
		s := newScene(t, from, to, false)
		populate(t, s.src, 8, 10)
		s.begin()
		s.alike()
		s.end()
		write(t, s.at("d000/f000"), "content0+")
		remove(t, s.at("d000/f001"))
		remove(t, s.at("d001"))
		rename(t, s.at("d002/f002"), s.at("d002/theirs"))
		rename(t, s.at("d003"), s.at("d004/moved"))
		write(t, s.at("d005/foreign"), "x")
		mkdir(t, s.at("d005/foreign dir/sub"))
		if err := os.Chmod(s.at("d006/f001"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(s.at("d006"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, rel := range []string{"d006/f002", "d007", ""} {
			if err := unix.Setxattr(s.at(rel), "user.theirs", []byte("b"), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Truncate(s.at("d006/f003"), 3); err != nil {
			t.Fatal(err)
		}
		past := time.Unix(1_000_000_000, 0)
		if err := os.Chtimes(s.at("d006/f004"), past, past); err != nil {
			t.Fatal(err)
		}
		remove(t, s.at("d007/f000"))
		if err := os.Symlink("elsewhere", s.at("d007/f000")); err != nil {
			t.Fatal(err)
		}
		remove(t, s.at("d007/f001"))
		mkdir(t, s.at("d007/f001/dir"))
		s.begin()
		s.alike()
		aside := fmt.Sprint(s.m.Status().Aside)
		for _, name := range []string{"d005/foreign", "d005/foreign dir", "d002/theirs", "d004/moved", "d007/f000", "d007/f001"} {
			if !strings.Contains(aside, name) {
				t.Errorf("%s was not set aside: %s", name, aside)
			}
		}
		s.end()
		found := 0
		_ = filepath.WalkDir(s.at(".weir/set-aside"), func(path string, _ os.DirEntry, _ error) error {
			if filepath.Base(path) == "foreign" && text(t, path) == "x" {
				found++
			}
			return nil
		})
		if found != 1 {
			t.Errorf("somebody's file is %d times in what was set aside", found)
		}
	})
}

// sysctl sets a limit of the machine, and puts it back at the latest when the test has ended.
func sysctl(t *testing.T, name, value string) (restore func()) {
	t.Helper()
	path := filepath.Join("/proc/sys", name)
	before, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(value), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := os.WriteFile(path, before, 0); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// TestOverflowRescansOneVolume lets the queue of one of three volumes overflow.
func TestOverflowRescansOneVolume(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	for _, sub := range []string{"a", "b"} {
		populate(t, voltest.New(t, "xfs", voltest.At(mkdir(t, s.in(sub)))).Dir, 2, 3)
	}
	restore := sysctl(t, "fs/fanotify/max_queued_events", "40")
	s.begin()
	s.alike()
	restore()
	a, b, outer := s.in("a"), s.in("b"), s.src
	before := map[string]time.Time{}
	for _, place := range []string{a, b, outer} {
		before[place] = s.unit(place, s.dst).Compared
	}
	made := make(chan error, 1)
	go func() {
		for n := range 10_000 {
			if err := os.WriteFile(filepath.Join(a, fmt.Sprint("burst", n%2000)), fmt.Append(nil, n), 0o644); err != nil {
				made <- err
				return
			}
		}
		made <- nil
	}()
	var worst time.Duration
	for n, going := 0, true; going; n++ {
		begun := time.Now()
		write(t, filepath.Join(b, "d001/f001"), fmt.Sprint("meanwhile", n))
		s.awaitText(s.at("b/d001/f001"), fmt.Sprint("meanwhile", n))
		worst = max(worst, time.Since(begun))
		select {
		case err := <-made:
			if err != nil {
				t.Fatal(err)
			}
			going = false
		default:
		}
	}
	s.alike()
	if s.unit(a, s.dst).Compared.Equal(before[a]) {
		t.Error("the queue has not overflowed")
	}
	for _, place := range []string{b, outer} {
		if !s.unit(place, s.dst).Compared.Equal(before[place]) {
			t.Errorf("%s was compared, and nothing of it was lost", place)
		}
	}
	t.Logf("beside the burst a change took %v at the latest", worst)
	s.end()
}

// TestFewGroups follows more volumes than the kernel allows groups.
func TestFewGroups(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	subs := []string{"a", "b", "c", "d", "e", "f"}
	for n, sub := range subs {
		populate(t, voltest.New(t, []string{"tmpfs", "ext4"}[n%2], voltest.At(mkdir(t, s.in(sub)))).Dir, 2, 3)
	}
	groups, queue := sysctl(t, "fs/fanotify/max_user_groups", "4"), sysctl(t, "fs/fanotify/max_queued_events", "100")
	s.begin()
	s.alike()
	groups()
	queue()
	for _, sub := range subs {
		write(t, s.in(sub+"/d001/f001"), "in "+sub)
	}
	for _, sub := range subs {
		s.awaitText(s.at(sub+"/d001/f001"), "in "+sub)
	}
	for n := range 3000 { // Overflows the queue of all that share it.
		write(t, s.in("a/burst"), fmt.Sprint(n))
		write(t, s.in(fmt.Sprint("b/burst", n%300)), fmt.Sprint(n))
	}
	s.alike()
	s.end()
}

// TestBrake deletes most of a tree, by rm and by moving it out of the source.
func TestBrake(t *testing.T) {
	for _, how := range []string{"rm", "mv"} {
		t.Run(how, func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			populate(t, s.in("tree"), 14, 100)
			populate(t, s.in("small"), 2, 10)
			s.begin()
			s.alike()
			if how == "rm" {
				for n := range 14 {
					remove(t, s.in("tree/"+name("d", n)))
				}
			} else {
				rename(t, s.in("tree"), filepath.Join(s.from.Dir, "out"))
			}
			braked := func() bool {
				files := 0
				for n := range 14 {
					list, _ := os.ReadDir(s.at("tree/" + name("d", n)))
					files += len(list)
				}
				return files >= 400
			}
			s.awaitPhase(s.src, replicate.PhaseBraked)
			still(t, "what was deleted", braked)
			write(t, s.in("small/d000/f000"), "goes on")
			remove(t, s.in("small/d001/f001"))
			s.awaitText(s.at("small/d000/f000"), "goes on")
			if err := s.stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
			s.begin()
			s.awaitPhase(s.src, replicate.PhaseBraked)
			write(t, s.in("new"), "after the restart")
			s.awaitText(s.at("new"), "after the restart")
			still(t, "what was deleted", braked)
			if err := s.stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
			var err error
			if s.o.Brake, err = policy.ParseBrake("off"); err != nil {
				t.Fatal(err)
			}
			s.begin()
			s.alike()
			s.end()
		})
	}
}

// TestRotationIsDailyWork makes whole directories of files and removes those before: what comes makes up for what goes, also
// on a volume that is only scanned. What goes may be seen before what comes, and waits for that then.
func TestRotationIsDailyWork(t *testing.T) {
	for _, how := range []string{"followed", "scanned"} {
		t.Run(how, func(t *testing.T) {
			s := newScene(t, "tmpfs", "tmpfs", false)
			if how == "scanned" {
				s.src = mkdir(t, filepath.Join(s.from.Dir, "shown"))
				s.o.Source, s.o.ScanInterval = s.src, 200*time.Millisecond
				voltest.Bindfs(t, mkdir(t, filepath.Join(s.from.Dir, "backing")), s.src)
			}
			populate(t, s.in("round000"), 1, 900)
			s.begin()
			s.alike()
			for n := range 6 {
				populate(t, s.in(name("round", n+1)), 1, 900)
				remove(t, s.in(name("round", n)))
				s.alike()
			}
			s.end()
		})
	}
}
