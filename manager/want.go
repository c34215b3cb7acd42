package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
)

// name returns the plane by which a frame is held, or "" if it is not.
func (h *held) name() string {
	if h == nil {
		return ""
	}
	return h.plane
}

// demandLocked returns what a frame is attached for: what its instances on the volume want, and what those will that are
// about to come.
func (m *Manager) demandLocked(joint topology.Joint) weir.Demand {
	wants := m.wantsLocked(joint)
	for _, slot := range m.state.View().Slots {
		p := slot.Pair
		if p.Volume == joint.Volume && m.state.FrameOf(p.Filter) == joint.Frame && slot.State == topology.SlotPending {
			f := m.filters[p.Filter]
			wants = wants.With(weir.Demand{Ops: f.Wants, Skips: f.Skips})
		}
	}
	return wants
}

// wantsLocked returns what the instances of a frame on a volume want.
func (m *Manager) wantsLocked(joint topology.Joint) (wants weir.Demand) {
	for _, in := range m.instances {
		if in.joint == joint {
			wants = wants.With(in.Demand())
		}
	}
	return wants
}

// want has an instance be told of other completed operations than before.
func (m *Manager) want(ctx context.Context, pair topology.Pair, own *dispatch.Instance, wants weir.Ops) error {
	m.mu.Lock()
	in := m.instances[pair]
	m.mu.Unlock()
	if in == nil || in.Instance != own {
		return wantError(weir.KindAbsent, "the instance has ended")
	}
	h, why := m.heldAt(in.joint)
	if h == nil && wants != 0 {
		return wantError(weir.KindUnsupported, why)
	}
	before := own.Wants()
	own.SetWants(wants)
	if h == nil {
		return nil
	}
	err := m.follow(ctx, in.joint, h, true)
	if err != nil {
		own.SetWants(before)
	}
	return err
}

func wantError(kind weir.Kind, why string) error {
	return &weir.Error{Op: "ask for operations", Kind: kind, Err: errors.New(why)}
}

// follow brings a frame's attachment in line with what the instances want; unless it may narrow, what it delivers besides is
// left as it is.
func (m *Manager) follow(ctx context.Context, joint topology.Joint, h *held, narrow bool) error {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.turn }()
	m.mu.Lock()
	wants := m.wantsLocked(joint)
	m.mu.Unlock()
	if !narrow {
		wants = wants.With(h.wants)
	}
	if wants == h.wants {
		return nil
	}
	if missing := wants.Ops &^ m.reach(h.plane); missing != 0 {
		return wantError(weir.KindUnsupported, fmt.Sprintf("%s delivers no %s", h.plane, missing))
	}
	if err := h.Want(ctx, wants); err != nil {
		return err
	}
	h.wants = wants
	return nil
}

// heldAt returns a frame's attachment to a volume, or why there is none.
func (m *Manager) heldAt(joint topology.Joint) (h *held, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.held[joint]; h != nil {
		return h, ""
	}
	for _, l := range m.state.View().Links {
		if l.Joint == joint && l.Why != "" {
			return nil, l.Why
		}
	}
	return nil, "nothing observes the volume"
}

func (m *Manager) reach(plane string) weir.Ops {
	for _, p := range m.options.Planes {
		if p.Name() == plane {
			return p.Reach().Completed
		}
	}
	return 0
}

// provide makes sure that an instance that is about to be set up is told of what its filter wants: the frame may have been
// attached before there was the filter. A volume that is not observed at all says so in its coverage.
func (m *Manager) provide(ctx context.Context, in *instance) error {
	if h, _ := m.heldAt(in.joint); h != nil {
		return m.follow(ctx, in.joint, h, false)
	}
	return nil
}

// relentTimeout bounds how long a volume is asked for that nobody wants as much of any more.
const relentTimeout = 2 * time.Second

// relent has a frame's attachment cost no more than what the instances want that are left. With the last of them it goes
// as a whole.
func (m *Manager) relent(joint topology.Joint) {
	m.mu.Lock()
	h, left := m.held[joint], false
	for _, in := range m.instances {
		left = left || in.joint == joint
	}
	if h != nil && left && !m.state.Stopping() {
		m.running.Go(func() {
			ctx, cancel := context.WithTimeout(m.teardown, relentTimeout)
			defer cancel()
			if err := m.follow(ctx, joint, h, true); err != nil {
				m.options.Logger.Debug("a volume is observed for more than is wanted", "volume", joint.Volume, "error", err)
			}
		})
	}
	m.mu.Unlock()
}
