package manager

import (
	"slices"
	"sync/atomic"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// instance is one instance of a filter on one volume, from the claim of its set-up to the end of its teardown.
type instance struct {
	pair     topology.Pair
	altitude weir.Altitude
	inbox    inbox
	callback weir.Instance // set once Setup has returned; read by its teardown only
}

// stack is the instances of one frame on one volume, from high to low altitude. It is never changed: an operation that
// has taken it sees the same instances to the end.
type stack struct{ instances []*instance }

func (s *stack) with(in *instance) *stack {
	list := append(slices.Clone(s.instances), in)
	slices.SortFunc(list, func(a, b *instance) int { return b.altitude.Compare(a.altitude) })
	return &stack{list}
}

func (s *stack) without(in *instance) *stack {
	return &stack{slices.DeleteFunc(slices.Clone(s.instances), func(other *instance) bool { return other == in })}
}

// dispatcher is the sink of one frame on one volume. It outlives its attachment.
type dispatcher struct{ stack atomic.Pointer[stack] }

func newDispatcher() *dispatcher {
	d := new(dispatcher)
	d.stack.Store(new(stack))
	return d
}

// Deliver implements weir.Sink: completed operations pass the stack from low to high.
func (d *dispatcher) Deliver(ops []weir.Operation) {
	for _, in := range slices.Backward(d.stack.Load().instances) {
		in.inbox.deliver(ops)
	}
}

// Lost implements weir.Sink.
func (d *dispatcher) Lost(reason string) {
	for _, in := range slices.Backward(d.stack.Load().instances) {
		in.inbox.lose(reason)
	}
}
