package manager

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirfs/weir"
)

// Conversation is a place at a filter's port. Talk serves a program there: it returns when the filter or the program has
// ended the conversation, the filter is unloaded, or the context of Connect has ended. It is called once at most.
type Conversation struct {
	m      *Manager
	ctx    context.Context
	filter *weir.Filter
	life   *life
}

// Connect takes a place at a filter's port, until ctx ends. The error is of KindAbsent if no such filter runs, and of
// KindRefused if it has no port, or no place is free.
func (m *Manager) Connect(ctx context.Context, name string) (*Conversation, error) {
	id, err := m.filter(name)
	if err != nil {
		return nil, err
	}
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
		context.AfterFunc(ctx, func() { m.leave(f, l) })
		return &Conversation{m, ctx, f, l}, nil
	}
	return nil, refused
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

// Talk has the filter serve a program.
func (c *Conversation) Talk(peer weir.Peer, port weir.Port) error {
	ctx, cancel := context.WithCancel(c.life.ports)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	over, end := context.WithCancel(c.m.teardown)
	defer end()
	defer context.AfterFunc(c.life.hurry, end)()
	err := within(over.Done(), func() error {
		return guard(c.filter, "Connect", func() error { return c.filter.Connect(ctx, peer, port) })
	}, nil)
	if errors.Is(err, errGivenUp) {
		c.m.abandon(c.life, c.filter.Name, fmt.Sprintf("a conversation with process %d", peer.PID))
	}
	if err != nil && ctx.Err() == nil && weir.KindOf(err) != weir.KindAbsent {
		c.m.options.Logger.Warn("a conversation with a filter has failed", "filter", c.filter.Name, "pid", peer.PID, "error", err)
	}
	return err
}
