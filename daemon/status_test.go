package daemon

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// brokenPlane attaches to nothing.
type brokenPlane struct {
	weir.Plane
	mended atomic.Bool
}

func (p *brokenPlane) Attach(ctx context.Context, v weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	if !p.mended.Load() {
		return nil, errors.New("no marks are left")
	}
	return p.Plane.Attach(ctx, v, wants, sink)
}

// TestAbsentSourceHasACause has a source whose volume is there and cannot be marked.
func TestAbsentSourceHasACause(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	write(t, s.in("f"), "1")
	plane := new(brokenPlane)
	s.o.wrapPlane = func(p weir.Plane) weir.Plane { plane.Plane = p; return plane }
	s.begin()
	const cause = "the volume cannot be marked: no marks are left"
	s.await("the cause is told", func() bool {
		u := s.unit(s.src, s.dst)
		return u.Phase == replicate.PhaseSourceAbsent && u.Reason == cause
	})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	m, err := Open(t.Context(), s.o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Run(t.Context(), true); weir.KindOf(err) != weir.KindDiffers || !strings.Contains(err.Error(), cause) {
		t.Errorf("one run ends with %v", err)
	}
	m.Close()
	plane.mended.Store(true)
	s.begin()
	s.alike()
}

// TestAbsentPlaceHasItsOwnCause has a nested volume away, and the one around it there and not to be marked.
func TestAbsentPlaceHasItsOwnCause(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
	s.begin()
	s.alike()
	s.end()
	nested.Unmount()
	s.o.wrapPlane = func(p weir.Plane) weir.Plane { return &brokenPlane{Plane: p} }
	s.begin()
	s.await("the cause is told", func() bool { return strings.Contains(s.unit(s.src, s.dst).Reason, "cannot be marked") })
	if u := s.unit(nested.Dir, s.dst); u.Reason != "only its bare mount point is there" || !strings.HasPrefix(u.Todo, "mount it") {
		t.Errorf("what helps against its absence: %q %q", u.Reason, u.Todo)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
