package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// hang has a file system that a process serves hang, until it is told to go on.
func hang(t *testing.T, server *os.Process) (resume func()) {
	t.Helper()
	signal := func(s unix.Signal) {
		t.Helper()
		if err := server.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(unix.SIGSTOP)
	return func() { signal(unix.SIGCONT) }
}

// TestVolumeBesideOneThatHangs has a volume below the source hang in which another one is mounted. One that is mounted
// beside it is found all the same, and none is said to be absent.
func TestVolumeBesideOneThatHangs(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		s.o.ScanInterval = time.Second
		backing := mkdir(t, filepath.Join(s.from.Dir, "backing"))
		server := voltest.Bindfs(t, backing, mkdir(t, s.in("hangs")))
		voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("hangs/m"))))
		mkdir(t, s.in("other"))
		s.begin()
		s.alike()

		resume := hang(t, server)
		v := voltest.New(t, "ext4", voltest.At(s.in("other")))
		write(t, filepath.Join(v.Dir, "file"), "2")
		s.awaitText(s.at("other/file"), "2")
		if log := s.log.Output.String(); strings.Contains(log, `msg="source absent`) {
			t.Errorf("something is said to be absent:\n%s", log)
		}
		resume()
		write(t, s.in("hangs/file"), "3")
		s.awaitText(s.at("hangs/file"), "3")
		s.alike()
		s.end()
	})
}

// TestTargetThatHangsDelaysNoVolume mounts a volume below the source while one of two targets hangs.
func TestTargetThatHangsDelaysNoVolume(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	slow := mkdir(t, filepath.Join(t.TempDir(), "slow"))
	server := voltest.Bindfs(t, mkdir(t, filepath.Join(s.from.Dir, "backing")), slow)
	slow = mkdir(t, filepath.Join(slow, "r"))
	s.o.Targets = append(s.o.Targets, slow)
	mkdir(t, s.in("m"))
	s.begin()
	s.alike()
	s.equal(s.src, slow)
	resume := hang(t, server)
	v := voltest.New(t, "ext4", voltest.At(s.in("m")))
	write(t, filepath.Join(v.Dir, "file"), "1")
	s.within(4*time.Second, "it is on the other target", func() bool { return !absent(s.at("m/file")) })
	resume()
	s.equal(s.src, slow)
	s.end()
}

// TestMountComesWithADirectory moves a directory into the source in which a volume is mounted, and out again.
func TestMountComesWithADirectory(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		outside := filepath.Join(s.from.Dir, "outside")
		v := voltest.New(t, "ext4", voltest.At(mkdir(t, filepath.Join(outside, "m"))))
		write(t, filepath.Join(v.Dir, "file"), "1")
		s.begin()
		s.alike()
		rename(t, outside, s.in("inside"))
		s.awaitText(s.at("inside/m/file"), "1")
		s.alike()
		write(t, s.in("inside/m/file"), "2")
		s.awaitText(s.at("inside/m/file"), "2")
		rename(t, s.in("inside"), outside)
		s.awaitPhase(s.in("inside/m"), replicate.PhaseSourceAbsent)
		s.equal(s.src, s.dst)
		s.end()
	})
}
