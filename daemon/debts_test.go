package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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

// protect makes a file or directory immutable, until it is told otherwise.
func protect(t *testing.T, path string) (unprotect func()) {
	t.Helper()
	change := func(how string) error { return runTool("chattr", how, path) }
	if err := change("+i"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = change("-i") })
	return func() {
		t.Helper()
		if err := change("-i"); err != nil {
			t.Fatal(err)
		}
	}
}

// brake makes a limit of deletions.
func brake(t *testing.T, limit string) policy.Limit {
	t.Helper()
	l, err := policy.ParseBrake(limit)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// parked lists what matches a pattern in the parking of a target.
func (s *scene) parked(pattern string) []string {
	s.t.Helper()
	list, err := filepath.Glob(s.at(filepath.Join(".weir/parked/*", pattern)))
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// TestDebtsOutliveANameThatWasMissed has a directory of the source unreadable while all files are brought up to what is
// wanted of them. When weir is started again those in it are too.
func TestDebtsOutliveANameThatWasMissed(t *testing.T) {
	const good, bad = "as it was copied:", "as it never was: "
	t.Run("privileges", func(t *testing.T) {
		s := debtor(t, good, func(s *scene) { s.o.NoPrivileges = true })
		if info, err := os.Lstat(s.at("d/f")); err != nil || info.Mode()&fs.ModeSetuid != 0 {
			t.Errorf("it has its privileges still: %v %v", info.Mode(), err)
		}
	})
	t.Run("rollback", func(t *testing.T) {
		s := debtor(t, good, func(s *scene) {
			write(t, s.at(".weir/generation"), "00000000000000000000\n")
			rewrite(t, s.to, good, bad)
		})
		if got := text(t, s.at("d/f")); got != good {
			t.Errorf("it holds %q", got)
		}
	})
}

// debtor runs a mirror whose file is to be looked at once more: it cannot be at first. An overlay reads what is below it with
// the rights of whoever has mounted it.
func debtor(t *testing.T, content string, owe func(*scene)) *scene {
	s := newScene(t, "ext4", "xfs", false)
	d := mkdir(t, filepath.Join(s.from.Dir, "lower/d"))
	write(t, filepath.Join(d, "f"), content)
	if err := errors.Join(os.Chmod(filepath.Join(d, "f"), 0o755|fs.ModeSetuid), os.Chown(d, 1234, 1234)); err != nil {
		t.Fatal(err)
	}
	data := "lowerdir=" + filepath.Dir(d) + ":" + mkdir(t, filepath.Join(s.from.Dir, "empty"))
	if err := runTool("setpriv", "--bounding-set=-dac_override,-dac_read_search", "mount", "-t", "overlay", "overlay", "-o", data, s.src); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(s.src, unix.MNT_DETACH) })
	time.Sleep(50 * time.Millisecond) // Then nothing is compared for the age of its time stamps.
	s.o.ScanInterval = time.Hour
	s.begin()
	s.alike()
	s.end()

	owe(s)
	if err := os.Chmod(d, 0o700); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.lists("d")
	s.awaitPhase(s.src, replicate.PhaseInSync)
	_ = s.stop() // It is behind.
	if err := os.Chmod(d, 0o755); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.quiet(10 * time.Second)
	s.end()
	return s
}

// TestParkingIsKeptWhileANameIsMissed leaves a file in the parking of which the index does not know, as a batch does that
// is interrupted, and keeps its new name from being made.
func TestParkingIsKeptWhileANameIsMissed(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	write(t, filepath.Join(mkdir(t, s.in("a")), "f"), "1")
	mkdir(t, s.in("b"))
	s.begin()
	s.alike()
	s.end()
	rename(t, s.in("a/f"), s.in("b/f"))
	parking, err := filepath.Glob(s.at(".weir/parked/*"))
	if err != nil || len(parking) != 1 {
		t.Fatalf("the parking is %q, %v", parking, err)
	}
	rename(t, s.at("a/f"), filepath.Join(parking[0], "f"))
	unprotect := protect(t, s.at("b"))

	s.begin()
	s.lists("b/f", "b")
	s.awaitPhase(s.src, replicate.PhaseInSync)
	if len(s.parked("f")) != 1 {
		t.Error("the only copy was deleted from the target")
	}
	unprotect()
	s.awaitText(s.at("b/f"), "1")
	s.quiet(10 * time.Second)
	s.end()
	s.begin()
	s.spotless(s.src, s.dst)
	s.end()
}

// TestReaperCountsNothingTwice moves a directory out of the source, takes files out of it there, and deletes the rest. The
// brake has counted the files with the directory.
func TestReaperCountsNothingTwice(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	s.o.Brake = brake(t, "10")
	populate(t, s.src, 1, 7) // 8 names
	another := mkdir(t, s.in("another"))
	s.begin()
	s.alike()
	outside := mkdir(t, filepath.Join(s.from.Dir, "outside"))
	rename(t, s.in("d000"), filepath.Join(outside, "d"))
	s.await("it has left the replica", func() bool { return absent(s.at("d000")) })
	for n := range 4 {
		rename(t, filepath.Join(outside, "d", name("f", n)), filepath.Join(outside, name("f", n)))
	}
	remove(t, filepath.Join(outside, "d"))
	rename(t, another, filepath.Join(outside, "another")) // What is parked is asked at once whenever something else comes to it.
	s.await("the rest is deleted", func() bool { return len(s.parked("*/f006")) == 0 && absent(s.at("another")) })
	s.quiet(10 * time.Second)
	if len(s.parked("*")) != 5 { // Four files, and the other directory.
		t.Errorf("parked are %q", s.parked("*"))
	}
	if phase, why := s.phaseOf(s.dst); phase != replicate.PhaseInSync {
		t.Errorf("%s: %s", phase, why)
	}
	s.end()
}

// TestSessionEndsWhileABarrierWaitsForRoom fills the target until no barrier passes, and mounts something on it meanwhile.
func TestSessionEndsWhileABarrierWaitsForRoom(t *testing.T) {
	s := newScene(t, "ext4", "btrfs", false)
	mkdir(t, s.in("d"))
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	empty := fill(t, s.to.Dir)
	s.await("no barrier passes", func() bool {
		if err := os.Chmod(s.in("f"), 0o600|fs.FileMode(time.Now().UnixNano()%8)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		_, why := s.phaseOf(s.dst)
		return strings.Contains(why, "record of what is durable")
	})
	voltest.Bind(t, t.TempDir(), s.at("d"))
	s.await("the mount is seen", func() bool { return strings.Contains(s.log.Output.String(), "are mounted below a target") })
	still(t, "nothing has failed", func() bool { return !strings.Contains(s.log.Output.String(), "sync of the target failed") })
	empty()
	voltest.Unmount(t, s.at("d"))
	s.spotless(s.src, s.dst)
	s.end()
}

// TestDeletedBeforeItWasCopied deletes a large file that cannot be read to its end, or replaces it by a small one: nothing
// is owed for it then.
func TestDeletedBeforeItWasCopied(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprintf("replaced=%v", replaced), func(t *testing.T) {
			s := newScene(t, "btrfs", "ext4", false)
			write(t, s.in("large"), string(bytes.Repeat([]byte("large"), 2<<20))+"a block that goes bad")
			s.from.Unmount()
			spoil(t, s.from.Device, "a block that goes bad")
			s.from.Mount()
			s.o.Bandwidth = 50 << 20
			s.begin()
			s.awaitPhase(s.src, replicate.PhaseSettling)
			if replaced {
				write(t, s.in("small"), "")
				rename(t, s.in("small"), s.in("large"))
			} else {
				remove(t, s.in("large"))
			}
			s.awaitPhase(s.src, replicate.PhaseInSync)
			s.spotless(s.src, s.dst)
			s.end()
		})
	}
}
