package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// newReplica makes a scene in which a file has been replicated, and the mirror has ended.
func newReplica(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, "ext4", "ext4", false)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	s.end()
	return s
}

// TestFailingDiskIsNoDamage has the disk of a target fail, which is no reason to take the target over.
func TestFailingDiskIsNoDamage(t *testing.T) {
	s := newReplica(t)
	s.to.Shutdown(voltest.ShutdownFlush)
	fails := func(text string) {
		t.Helper()
		if !strings.Contains(text, "input/output error") || strings.Contains(text, "adopt") || strings.Contains(text, "/proc/self") || strings.Contains(text, "tries again") {
			t.Errorf("it says %s", text)
		}
	}

	s.begin()
	why := ""
	s.await("the target fails", func() bool {
		u := s.unit(s.src, s.dst)
		why = u.Reason
		return u.Phase == replicate.PhaseWaiting && strings.Contains(why, "input/output error")
	})
	fails(why)
	s.endBehind()

	s.o.State = filepath.Join(t.TempDir(), "another")
	_, err := Open(context.Background(), s.o)
	if weir.KindOf(err) != weir.KindFailed {
		t.Errorf("%v", err)
	}
	fails(err.Error())
}

// TestDamagedMarkerIsTold has something else be where the marker was.
func TestDamagedMarkerIsTold(t *testing.T) {
	s := newReplica(t)
	for _, marker := range []string{"{", "{}", ""} {
		write(t, s.at(".weir/replica.json"), marker)
		s.begin()
		awaitTarget(s, replicate.PhaseTargetAbsent)
		if u := s.unit(s.src, s.dst); !strings.Contains(u.Reason, "its marker .weir/replica.json is damaged") || !strings.Contains(u.Todo, "--adopt") {
			t.Errorf("%q: %+v", marker, u)
		}
		s.endBehind()
	}
}

// TestTargetTakenReadOnly begins with a target that the state knows, and that has become read-only.
func TestTargetTakenReadOnly(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	other := voltest.New(t, "ext4").Dir
	s.o.Targets = append(s.o.Targets, other)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	s.end()
	s.to.Remount(unix.MS_RDONLY, "")
	s.begin()
	s.await("it says what helps", func() bool {
		u := s.unit(s.src, s.dst)
		return u.Phase == replicate.PhaseWaiting && strings.Contains(u.Reason, "read-only") && strings.Contains(u.Todo, "mount it anew")
	})
	s.endBehind()
}

// TestNoDirectoryInTheTarget has something else be where weir's own directories were.
func TestNoDirectoryInTheTarget(t *testing.T) {
	s := newReplica(t)
	for what, adopts := range map[string]bool{".weir/parked": false, ".weir": true} {
		aside := filepath.Join(s.to.Dir, "aside")
		rename(t, s.at(what), aside)
		if err := os.Symlink(aside, s.at(what)); err != nil {
			t.Fatal(err)
		}
		s.begin()
		awaitTarget(s, replicate.PhaseTargetAbsent)
		u := s.unit(s.src, s.dst)
		if !strings.Contains(u.Reason, "is no directory") || !strings.Contains(u.Todo, "away") || strings.Contains(u.Todo, "--adopt") != adopts {
			t.Errorf("%s: %+v", what, u)
		}
		s.endBehind()
		remove(t, s.at(what))
		if !adopts {
			remove(t, aside)
		} else {
			rename(t, aside, s.at(what))
		}
		s.begin()
		write(t, s.in("f"), what)
		s.alike()
		s.end()
	}
}
