package daemon

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestIdleTargetLeaves unmounts a target while nothing changes on the source.
func TestIdleTargetLeaves(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		nested := voltest.New(t, "tmpfs", voltest.At(mkdir(t, s.in("nested"))))
		write(t, s.in("f"), "1")
		write(t, s.in("nested/f"), "1")
		s.begin()
		s.alike()
		s.awaitPhase(nested.Dir, replicate.PhaseInSync)
		s.to.Unmount()
		s.awaitPhase(s.src, replicate.PhaseTargetAbsent)
		s.awaitPhase(nested.Dir, replicate.PhaseTargetAbsent)
		s.to.Mount()
		s.awaitPhase(s.src, replicate.PhaseInSync)
		s.awaitPhase(nested.Dir, replicate.PhaseInSync)
		s.end()
	})
}

// TestFrozenTargetIsSaid freezes a target below a mirror that works.
func TestFrozenTargetIsSaid(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	thaw := voltest.Freeze(t, s.to.Dir)
	write(t, s.in("f"), "2")
	s.awaitPhase(s.src, replicate.PhaseWaiting)
	if u := s.unit(s.src, s.dst); !strings.Contains(u.Reason, "frozen") {
		t.Errorf("the reason is %q", u.Reason)
	}
	thaw()
	s.awaitText(s.at("f"), "2")
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.end()
}

// TestFrozenStateIsSaid freezes the file system of the state directory below a mirror that works.
func TestFrozenStateIsSaid(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	keep := voltest.New(t, "ext4")
	s.o.State = filepath.Join(keep.Dir, "state")
	write(t, s.in("f"), "1")
	s.begin()
	s.alike()
	thaw := voltest.Freeze(t, keep.Dir)
	write(t, s.in("f"), "2")
	s.awaitPhase(s.src, replicate.PhaseWaiting)
	if u := s.unit(s.src, s.dst); !strings.Contains(u.Reason, "the state directory "+s.o.State+" has not answered for ") {
		t.Errorf("the reason is %q", u.Reason)
	}
	thaw()
	s.awaitText(s.at("f"), "2")
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.end()
}

// TestFailingTargetIsSaid has the disk of a target fail below a mirror that works, or be read only.
func TestFailingTargetIsSaid(t *testing.T) {
	for name, fail := range map[string]func(*voltest.Volume){
		"broken":    func(v *voltest.Volume) { v.Shutdown(voltest.ShutdownFlush) },
		"read only": func(v *voltest.Volume) { v.Remount(unix.MS_RDONLY, "") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			write(t, s.in("f"), "1")
			s.begin()
			s.alike()
			fail(s.to)
			write(t, s.in("f"), "2")
			s.await("it says what helps", func() bool {
				u := s.unit(s.src, s.dst)
				return u.Phase == replicate.PhaseWaiting && strings.HasPrefix(u.Todo, "see to the disk of the target, or mount it anew")
			})
			s.endBehind()
		})
	}
}
