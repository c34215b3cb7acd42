package memory

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/weirfs/weir"
)

// Plane observes and intercepts operations on volumes of this package. The zero value delivers at once.
type Plane struct {
	mu            sync.Mutex
	held          bool
	attachments   []*attachment
	interceptions []*interception
	closed        bool
}

var _ weir.Intercepting = (*Plane)(nil)

// Name implements weir.Plane.
func (p *Plane) Name() string { return "memory" }

// Reach implements weir.Plane.
func (p *Plane) Reach() weir.Reach {
	const all = weir.Changes | weir.OpOpen | weir.OpAccess
	return weir.Reach{
		Completed: all, Before: all, After: all, Contexts: []weir.ContextKind{weir.ContextFile, weir.ContextOpen},
	}
}

// Blind implements weir.Plane: nothing is hidden.
func (p *Plane) Blind() []string { return nil }

// Attach implements weir.Plane. volume must be a *Volume.
func (p *Plane) Attach(ctx context.Context, volume weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	v, err := inMemory(ctx, volume)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	a := &attachment{plane: p, volume: v, sink: sink, wants: wants, held: p.held}
	a.idle.L = &a.mu
	if err := v.listen(a); err != nil {
		return nil, err
	}
	p.attachments = append(p.attachments, a)
	return a, nil
}

var errClosed = errors.New("attach memory: the plane has been closed")

func inMemory(ctx context.Context, volume weir.Volume) (*Volume, error) {
	v, ok := volume.(*Volume)
	if !ok {
		return nil, &weir.Error{Op: "attach memory", Kind: weir.KindUnsupported, Err: errors.New("the volume is not in memory")}
	}
	return v, ctx.Err()
}

// listen adds a listener, unless the volume has left or refuses.
func (v *Volume) listen(a *attachment) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refusesLocked(); err != nil {
		return err
	}
	v.listeners = append(slices.Clone(v.listeners), a)
	return nil
}

func (v *Volume) refusesLocked() error {
	if v.left {
		return v.absent("attach memory")
	}
	return v.unsupported
}

// Close implements weir.Plane.
func (p *Plane) Close() error {
	p.mu.Lock()
	p.closed = true
	list, interceptions := slices.Clone(p.attachments), slices.Clone(p.interceptions)
	p.mu.Unlock()
	for _, a := range list {
		_ = a.Detach() // never fails
	}
	for _, i := range interceptions {
		_ = i.Detach()
	}
	return nil
}

// Hold keeps operations back from now on.
func (p *Plane) Hold() {
	for _, a := range p.hold(true) {
		a.hold(true)
	}
}

// Release delivers what has been held, and holds no more.
func (p *Plane) Release() {
	for _, a := range p.hold(false) {
		a.hold(false)
		a.deliver(-1)
	}
}

func (p *Plane) hold(held bool) []*attachment {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	return slices.Clone(p.attachments)
}

// Deliver hands over at most n of the operations that are held for the volume.
func (p *Plane) Deliver(v *Volume, n int) {
	p.each(v, func(a *attachment) { a.deliver(n) })
}

// Drop loses what is held for the volume, and says so.
func (p *Plane) Drop(v *Volume, reason string) {
	p.each(v, func(a *attachment) { a.drop(reason) })
}

// Merge joins operations of one process on one entry and object that are held for the volume, as
// fanotify does while they wait; renames stay alone.
func (p *Plane) Merge(v *Volume) {
	p.each(v, func(a *attachment) { a.edit(merge) })
}

// Shuffle puts what is held for the volume into another order, which seed decides.
func (p *Plane) Shuffle(v *Volume, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	p.each(v, func(a *attachment) {
		a.edit(func(ops []weir.Operation) []weir.Operation {
			random.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
			return ops
		})
	})
}

func (p *Plane) each(v *Volume, do func(*attachment)) {
	p.mu.Lock()
	list := slices.Clone(p.attachments)
	p.mu.Unlock()
	for _, a := range list {
		if a.volume == v {
			do(a)
		}
	}
}

func merge(ops []weir.Operation) []weir.Operation {
	at := map[weir.Operation]int{}
	var merged []weir.Operation
	for _, op := range ops {
		key := op
		key.Ops = 0
		if i, ok := at[key]; ok && op.Ops&weir.OpRename == 0 {
			merged[i].Ops |= op.Ops
			continue
		}
		if op.Ops&weir.OpRename == 0 {
			at[key] = len(merged)
		}
		merged = append(merged, op)
	}
	return merged
}
