package daemon

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestFailingDiskIsNoDamage has the disk of a target fail, which is no reason to take the target over.
func TestFailingDiskIsNoDamage(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	s.end()
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
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	s.end()
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
