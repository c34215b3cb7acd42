package manager

import (
	"context"
	"time"

	"github.com/weirfs/weir/dispatch"
)

// life is what the manager keeps of a filter from its registration to its end.
type life struct {
	// A mandatory unloading takes away the time of Teardown and of holds with rush, and waits for nothing any more after
	// force. Both are over when the time of a shutdown is.
	hurry, over context.Context
	rush, force context.CancelFunc
	forced      bool // Manager.mu guards it, and the next

	since     time.Time // when the filter was started
	unloading unloading

	// Conversations with programs run under ports, and end with hangUp.
	ports     context.Context
	hangUp    context.CancelFunc
	connected int // Manager.mu guards it

	asking chan struct{}  // holds a token while Unload of the filter runs
	past   dispatch.Stats // of the instances that have ended; Manager.mu guards it
}

func (m *Manager) newLife() *life {
	l := &life{since: now(), asking: make(chan struct{}, 1)}
	l.hurry, l.rush = context.WithCancel(m.teardown)
	l.over, l.force = context.WithCancel(m.teardown)
	l.ports, l.hangUp = context.WithCancel(m.work)
	return l
}
