package manager

import (
	"context"
	"fmt"
	"slices"

	"github.com/weirfs/weir"
)

// gate is what intercepts operations on a volume for the filters of a frame. It is made for the first instance that needs
// it, and goes with the last: who only observes does not pay for it. Manager.mu guards the fields but made and gone.
type gate struct {
	plane weir.Intercepting
	held  weir.Interception
	users int
	made  chan struct{} // closed when the plane has intercepted, or failed to
	err   error
	gone  chan struct{} // closed when nothing is left of it
	ends  bool
}

// gate has operations on the instance's volume pass it, if its filter asks for any.
func (m *Manager) gate(ctx context.Context, in *instance, f *weir.Filter) error {
	if f.Before|f.After == 0 && !needsPlane(f.Contexts) {
		return nil
	}
	for {
		g, first, wait := m.useGate(in)
		switch {
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		case first:
			m.makeGate(ctx, in, g, f)
		}
		select {
		case <-g.made:
		case <-ctx.Done():
			return ctx.Err()
		}
		return m.gateError(g, f)
	}
}

// useGate counts the instance among the users of its joint's gate. It returns what to wait for if the former gate has not
// gone yet.
func (m *Manager) useGate(in *instance) (g *gate, first bool, wait <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g = m.gates[in.joint]
	if g != nil && g.ends {
		return nil, false, g.gone
	}
	if first = g == nil; first {
		g = &gate{made: make(chan struct{}), gone: make(chan struct{})}
		m.gates[in.joint] = g
	}
	g.users++
	in.gated = true
	return g, first, nil
}

// makeGate tries the planes in order, as attach does.
func (m *Manager) makeGate(ctx context.Context, in *instance, g *gate, f *weir.Filter) {
	defer close(g.made)
	m.mu.Lock()
	v, altitude := m.volumes[in.joint.Volume].volume, m.state.Frame(in.joint.Frame).Low
	m.mu.Unlock()
	err := m.cannot(f)
	for _, plane := range m.options.Planes {
		intercepting, ok := plane.(weir.Intercepting)
		if !ok || !intercepts(plane.Reach(), f) {
			continue
		}
		var held weir.Interception
		if held, err = intercepting.Intercept(ctx, v, altitude, m.verifier.Gate(in.stack)); err == nil {
			m.mu.Lock()
			g.plane, g.held = intercepting, held
			m.mu.Unlock()
			in.stack.SetInterception(held)
			return
		}
		if weir.KindOf(err) != weir.KindUnsupported {
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g.err = err
}

// gateError tells whether a gate that has been made delivers what a filter asks for.
func (m *Manager) gateError(g *gate, f *weir.Filter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case g.err != nil:
		return g.err
	case !intercepts(g.plane.Reach(), f):
		return &weir.Error{
			Op: "intercept operations", Kind: weir.KindUnsupported, Path: f.Name,
			Err: fmt.Errorf("the volume is intercepted by %s already, which does not deliver what the filter asks for", g.plane.Name()),
		}
	}
	return nil
}

// ungate takes the instance from the users of its gate, and ends the gate with the last.
func (m *Manager) ungate(in *instance) {
	m.mu.Lock()
	g := m.gates[in.joint]
	if !in.gated {
		m.mu.Unlock()
		return
	}
	in.gated = false
	g.users--
	g.ends = g.users == 0
	ends := g.ends
	m.mu.Unlock()
	if !ends {
		return
	}
	<-g.made
	if g.held != nil {
		in.stack.SetInterception(nil)
		if err := g.held.Detach(); err != nil {
			m.options.Logger.Warn("plane did not detach cleanly", "volume", in.joint.Volume, "error", err)
		}
	}
	m.mu.Lock()
	delete(m.gates, in.joint)
	m.mu.Unlock()
	close(g.gone)
}

// name is that of the plane. A gate that is not there has none.
func (g *gate) name() string {
	if g == nil || g.plane == nil {
		return ""
	}
	return g.plane.Name()
}

// needsPlane tells whether contexts are among the kinds whose objects' end a plane has to tell.
func needsPlane(kinds []weir.ContextKind) bool {
	return slices.Contains(kinds, weir.ContextFile) || slices.Contains(kinds, weir.ContextOpen)
}

// intercepts tells whether a plane delivers all that a filter wants intercepted, and the end of all that it puts contexts
// on.
func intercepts(r weir.Reach, f *weir.Filter) bool {
	for _, kind := range f.Contexts {
		if needsPlane([]weir.ContextKind{kind}) && !slices.Contains(r.Contexts, kind) {
			return false
		}
	}
	return f.Before&^r.Before == 0 && f.After&^r.After == 0
}
