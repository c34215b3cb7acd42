package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// Conversation is a place at a filter's port. Talk serves a program there: it returns when the filter or the program has
// ended the conversation, the filter is unloaded, or the context of Connect has ended, and gives the place back. Where that
// comes before Talk, the place is given back by itself.
type Conversation struct {
	m      *Manager
	ctx    context.Context // ends when the filter is unloaded, or the context of Connect ends
	end    context.CancelFunc
	keep   func() bool // keeps the place beyond that, unless it has been given back
	peer   weir.Peer
	filter *weir.Filter
	life   *life
}

// ErrNotAdmitted is wrapped by the error of Connect for a program that the filter does not let in.
var ErrNotAdmitted = errors.New("the filter does not admit the program")

// admitTime bounds how long a filter may think about a program.
const admitTime = 5 * time.Second

// admit asks a filter whether a program may connect to it.
func (m *Manager) admit(f *weir.Filter, peer weir.Peer) error {
	if f.Admit == nil {
		return nil
	}
	over := make(chan struct{})
	defer time.AfterFunc(admitTime, func() { close(over) }).Stop()
	err := within(over, func() error { return m.guard(f, "Admit", func() error { return f.Admit(peer) }) }, nil)
	if err == nil {
		return nil
	}
	return &weir.Error{
		Op: "connect to filter", Kind: weir.KindRefused, Path: f.Name,
		Err:  fmt.Errorf("%w, process %d of user %d: %w", ErrNotAdmitted, peer.PID, peer.UID, err),
		Hint: "the filter decides who may",
	}
}

// Connect has a program take a place at a filter's port, for one Talk, or until ctx ends. The error is of KindAbsent if no such
// filter runs, and of KindRefused if it has no port, does not admit the program (ErrNotAdmitted), or no place is free.
func (m *Manager) Connect(ctx context.Context, name string, peer weir.Peer) (*Conversation, error) {
	id, f, err := m.filter(name)
	if err == nil {
		err = m.admit(f, peer)
	}
	if err != nil {
		return nil, err
	}
	return m.place(ctx, id, name, peer)
}

// place is Connect for a program that the filter admits.
func (m *Manager) place(ctx context.Context, id topology.FilterID, name string, peer weir.Peer) (*Conversation, error) {
	stopping := m.stopping(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	f, l := m.filters[id], m.lives[id]
	refused := &weir.Error{Op: "connect to filter", Kind: weir.KindRefused, Path: name}
	switch {
	case f == nil || stopping || l.ports.Err() != nil:
		refused.Err, refused.Hint = errors.New("it is being unloaded"), "try again when it is loaded"
	case f.Connect == nil:
		refused.Err, refused.Hint = errors.New("it has no port"), "connect to another filter"
	case l.connected == f.Connections:
		refused.Err, refused.Hint = fmt.Errorf("%d programs are connected already, as many as it takes", l.connected), "end one of them"
	default:
		l.connected++
		return m.converse(ctx, f, l, peer), nil
	}
	return nil, refused
}

// converse makes a conversation, for which a place has been taken.
func (m *Manager) converse(ctx context.Context, f *weir.Filter, l *life, peer weir.Peer) *Conversation {
	both, cancel := context.WithCancel(l.ports)
	forget := context.AfterFunc(ctx, cancel)
	end := func() {
		forget()
		cancel()
	}
	return &Conversation{m, both, end, context.AfterFunc(both, func() { m.leave(f, l) }), peer, f, l}
}

// leave gives a place back.
func (m *Manager) leave(f *weir.Filter, l *life) {
	m.mu.Lock()
	l.connected--
	close(m.changed)
	m.changed = make(chan struct{})
	audit := m.auditLocked(f, l)
	m.mu.Unlock()
	audit()
}

// Talk has the filter serve the program. The error is of KindAbsent if the place has been given back, as after another Talk.
func (c *Conversation) Talk(port weir.Port) error {
	defer c.end()
	if !c.keep() {
		return &weir.Error{Op: "talk to filter", Kind: weir.KindAbsent, Path: c.filter.Name, Err: errors.New("the conversation has ended")}
	}
	defer c.m.leave(c.filter, c.life)
	err := within(c.life.hurry.Done(), func() error {
		return c.m.guard(c.filter, "Connect", func() error { return c.filter.Connect(c.ctx, c.peer, port) })
	}, nil)
	if errors.Is(err, errGivenUp) {
		c.m.abandon(c.life, c.filter.Name, fmt.Sprintf("a conversation with process %d", c.peer.PID))
	}
	if err != nil && c.ctx.Err() == nil && weir.KindOf(err) != weir.KindAbsent {
		c.m.options.Logger.Warn("a conversation with a filter has failed", "filter", c.filter.Name, "pid", c.peer.PID, "error", err)
	}
	return err
}
