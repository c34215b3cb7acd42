package manager

import (
	"context"

	"github.com/weirfs/weir/dispatch"
)

// life is what the manager keeps of a filter from its registration to its end.
type life struct {
	// A mandatory unloading takes away the time of running callbacks and holds with hurry, and waits for nothing any
	// more when force is closed.
	hurry  context.Context
	rush   context.CancelFunc
	force  chan struct{}
	forced bool // Manager.mu guards it, and the next

	unloading unloading

	// Conversations with programs run under ports, and end with hangUp.
	ports     context.Context
	hangUp    context.CancelFunc
	connected int // Manager.mu guards it

	asking chan struct{}  // holds a token while Unload of the filter runs
	past   dispatch.Stats // of the instances that have ended; Manager.mu guards it
}

func (m *Manager) newLife() *life {
	l := &life{force: make(chan struct{}), asking: make(chan struct{}, 1)}
	l.hurry, l.rush = context.WithCancel(context.Background())
	l.ports, l.hangUp = context.WithCancel(m.work)
	return l
}
