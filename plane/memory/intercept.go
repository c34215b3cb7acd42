package memory

import (
	"context"
	"slices"

	"github.com/weirfs/weir"
)

// interception is one gate of a volume.
type interception struct {
	plane    *Plane
	volume   *Volume
	altitude weir.Altitude
	gate     weir.Gate
}

// level is one step on an operation's way: a gate, or the volume itself where there is none. Levels are never changed.
type level struct {
	volume *Volume
	gate   weir.Gate
	next   *level
}

// Do implements weir.Lower.
func (l *level) Do(ctx context.Context, p *weir.Parameters) weir.Result {
	if l.gate == nil {
		return l.volume.carryOut(ctx, p)
	}
	return l.gate.Do(ctx, p, l.next)
}

// Intercept implements weir.Intercepting. volume must be a *Volume.
func (p *Plane) Intercept(ctx context.Context, volume weir.Volume, altitude weir.Altitude, gate weir.Gate) (weir.Interception, error) {
	v, err := inMemory(ctx, volume)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	i := &interception{plane: p, volume: v, altitude: altitude, gate: gate}
	if err := v.intercept(i); err != nil {
		return nil, err
	}
	p.interceptions = append(p.interceptions, i)
	return i, nil
}

func (v *Volume) intercept(i *interception) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refusesLocked(); err != nil {
		return err
	}
	v.interceptions = append(v.interceptions, i)
	slices.SortStableFunc(v.interceptions, func(a, b *interception) int { return b.altitude.Compare(a.altitude) })
	v.relinkLocked()
	return nil
}

// relinkLocked makes the chain that operations take from now on.
func (v *Volume) relinkLocked() {
	chain := &level{volume: v}
	for _, i := range slices.Backward(v.interceptions) {
		chain = &level{volume: v, gate: i.gate, next: chain}
	}
	v.chain.Store(chain)
}

// Do implements weir.Lower: the operation passes the gates below this one.
func (i *interception) Do(ctx context.Context, p *weir.Parameters) weir.Result {
	return i.volume.pass(ctx, p, i.below())
}

// below returns the chain below the gate.
func (i *interception) below() *level {
	i.volume.mu.Lock()
	defer i.volume.mu.Unlock()
	chain := i.volume.chain.Load()
	for _, other := range i.volume.interceptions {
		if other != i && other.altitude.Compare(i.altitude) < 0 {
			return chain
		}
		chain = chain.next
	}
	return chain
}

// Has implements weir.Interception.
func (i *interception) Has(key weir.ContextKey) bool {
	v := i.volume
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.left:
		return false
	case key.Kind == weir.ContextOpen:
		return v.opens[key.Open] != nil
	}
	return v.nodes[key.File] != nil
}

// Detach implements weir.Interception.
func (i *interception) Detach() error {
	is := func(other *interception) bool { return other == i }
	i.volume.mu.Lock()
	i.volume.interceptions = slices.DeleteFunc(i.volume.interceptions, is)
	i.volume.relinkLocked()
	i.volume.mu.Unlock()
	i.plane.mu.Lock()
	defer i.plane.mu.Unlock()
	i.plane.interceptions = slices.DeleteFunc(i.plane.interceptions, is)
	return nil
}

// Do does an operation, which passes the gates. Its Volume need not be set.
func (v *Volume) Do(ctx context.Context, p *weir.Parameters) weir.Result {
	own := *p
	own.Volume = v.id
	return v.pass(ctx, &own, v.chain.Load())
}

// pass takes an operation along a chain, and tells the gates what has gone since.
func (v *Volume) pass(ctx context.Context, p *weir.Parameters, chain *level) weir.Result {
	result := chain.Do(ctx, p)
	v.mu.Lock()
	gone, gates := v.gone, v.interceptions
	if v.gone = nil; len(gone) > 0 {
		gates = slices.Clone(gates)
	}
	v.mu.Unlock()
	for _, key := range gone {
		for _, i := range gates {
			if key.Kind == weir.ContextOpen {
				i.gate.OpenGone(key.Open)
			} else {
				i.gate.FileGone(key.File)
			}
		}
	}
	return result
}

// Obstruct has every operation on the volume itself, below all gates, wait for obstacle, and fail with the error that it
// returns. Nil lets them pass again.
func (v *Volume) Obstruct(obstacle func(context.Context, *weir.Parameters) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.obstacle = obstacle
}
