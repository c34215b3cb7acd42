package verify

import (
	"context"
	"sync"

	"github.com/weirfs/weir"
)

// passage is one operation, or one delivery of completed ones, on its way through the instances.
type passage struct {
	mu    sync.Mutex
	begun bool // last counts
	up    bool // it has turned
	last  weir.Altitude
}

// passageKey is what an operation's is stored by in its context.
type passageKey struct{}

func onItsWay(ctx context.Context) context.Context {
	return context.WithValue(ctx, passageKey{}, new(passage))
}

// step notes that it has come to an altitude. It returns where it came from if that is no way to come, and whether it is.
func (p *passage) step(to weir.Altitude, up bool) (from weir.Altitude, right bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	turned := up != p.up // Those that want no Pre are first met on the way back.
	from, right = p.last, !p.begun || turned && up || !turned && (to.Compare(p.last) > 0) == up && to != p.last
	p.begun, p.up, p.last = true, up, to
	return from, right
}

// checkOrder reports a callback of an instance that the operation comes to out of order. p may be nil.
func (in *instance) checkOrder(p *passage, c *call, callback string, up bool) {
	if p == nil {
		return
	}
	if from, right := p.step(in.altitude, up); !right {
		in.report(outOfOrder, c, "%s is called at altitude %s after the callback at altitude %s", callback, in.altitude, from)
	}
}

// passageOf returns that of the operation of a context, or nil if nobody has marked it.
func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// gate marks the operations that pass it.
type gate struct{ weir.Gate }

// Gate returns a gate that does what g does. The order in which operations pass instances is looked at for those that pass
// it.
func (v *Verifier) Gate(g weir.Gate) weir.Gate {
	if v == nil {
		return g
	}
	return gate{g}
}

// Do implements weir.Gate.
func (g gate) Do(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
	return g.Gate.Do(onItsWay(ctx), p, lower)
}

// sink marks the operations that are delivered to it.
type sink struct {
	weir.Sink
	verifier *Verifier
}

// Sink is Gate for completed operations. They are known by their slice, which is the plane's until Deliver has returned: those
// that are put aside for an instance, which is busy or wants not all of them, come in no order.
func (v *Verifier) Sink(s weir.Sink) weir.Sink {
	if v == nil {
		return s
	}
	return sink{s, v}
}

// Deliver implements weir.Sink.
func (s sink) Deliver(operations []weir.Operation) {
	if len(operations) > 0 {
		s.verifier.setDelivery(operations, &passage{up: true})
		defer s.verifier.setDelivery(operations, nil)
	}
	s.Sink.Deliver(operations)
}

// setDelivery notes that operations are on their way, or with nil that they are not any more.
func (v *Verifier) setDelivery(operations []weir.Operation, p *passage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p == nil {
		delete(v.deliveries, &operations[0])
		return
	}
	v.deliveries[&operations[0]] = p
}

// deliveryOf returns that of operations which an instance is given, or nil if they are not on their way.
func (v *Verifier) deliveryOf(operations []weir.Operation) *passage {
	if len(operations) == 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.deliveries[&operations[0]]
}
