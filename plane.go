package weir

import "context"

// Plane is a mechanism by which operations on volumes reach the manager. A plane knows nothing of
// filters, altitudes and of the manager. Implementations are safe for concurrent use.
type Plane interface {
	// Name is a short word: "fanotify", "memory".
	Name() string

	// Reach is what the plane can deliver.
	Reach() Reach

	// Blind lists, in full clauses for the operator, what the plane cannot see on a volume that it is
	// attached to.
	Blind() []string

	// Attach makes every operation of those that are wanted, and that completes on the volume after Attach has
	// returned, reach sink, or be named lost. It returns a KindUnsupported error where the volume does not accept
	// the plane, whatever is wanted, and a KindAbsent error where the volume has left.
	Attach(ctx context.Context, volume Volume, wants Demand, sink Sink) (Attachment, error)

	// Close ends every attachment and waits for the plane's goroutines.
	Close() error
}

// Demand is which completed operations are wanted of a plane. Of the classes in Skips none are: what that saves is up to the
// plane, which may deliver them all the same.
type Demand struct {
	Ops   Ops
	Skips Skips
}

// With returns what has to be wanted so that both are met.
func (d Demand) With(other Demand) Demand {
	switch {
	case d.Ops == 0:
		return other
	case other.Ops == 0:
		return d
	}
	return Demand{d.Ops | other.Ops, d.Skips & other.Skips}
}

// Reach is what a plane can deliver.
type Reach struct {
	Completed     Ops           // told when they have completed
	Before, After Ops           // intercepted; the plane is Intercepting if there are any
	Contexts      []ContextKind // whose objects' end it tells; volume and instance contexts need no plane
}

// Attachment is one volume held by a plane.
type Attachment interface {
	// Want changes what is wanted. When it has returned, every operation of those that completes later reaches the sink;
	// what was wanted before as well is not interrupted. What is not wanted costs nobody anything, but may still be
	// delivered. It is called by one goroutine at a time. The errors are those of Attach; then nothing has changed.
	Want(ctx context.Context, wants Demand) error

	// Detach returns when no call of the sink is running and none will follow. It may be called twice,
	// but not from a call of the sink.
	Detach() error
}

// Sink takes what a plane delivers for one volume. Its methods are called from one goroutine at a time
// and must not block.
type Sink interface {
	// Deliver hands over operations in the order in which they were read. The slice is the plane's again
	// when Deliver returns.
	Deliver(operations []Operation)

	// Lost says that an unknown set of operations was not delivered: whoever follows the volume has to
	// look everywhere. reason is a clause for the operator.
	Lost(reason string)
}
