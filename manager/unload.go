package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// Unload asks the filter whether it may be unloaded, tears down every instance, and returns when the last has ended or
// ctx has; then the error names what keeps them. If it is mandatory, the filter cannot refuse, and everything has ended
// within Options.StopTimeout: what is still inside an instance is logged, and left behind. A filter must not wait for its
// own unloading in a callback. by says who asks, for the ledger and the log, which has a record of whoever does so by force;
// it is empty if nobody does but weir itself, which needs the filter no more.
//
// Of two that unload a filter at the same time, the second finds out what the first did. The name is free for another
// Start when Unload has returned nil.
func (m *Manager) Unload(ctx context.Context, name string, mandatory bool, by string) error {
	id, f, err := m.filter(name)
	if err != nil {
		return err
	}
	m.mu.Lock()
	l := m.lives[id]
	if l != nil && mandatory && !l.forced {
		l.forced, l.unloading.forced, l.unloading.since = true, by, now()
		time.AfterFunc(m.options.StopTimeout*7/10, l.rush)
		time.AfterFunc(m.options.StopTimeout*4/5, l.force)
	}
	m.mu.Unlock()
	if l == nil {
		return nil // it has ended meanwhile
	}
	if err := m.askUnload(ctx, id, f, l, mandatory); err != nil {
		return err
	}
	m.askedBy(l, by)
	m.apply(topology.FilterStopping{Filter: id, Mandatory: mandatory})
	l.hangUp()
	return m.awaitEnd(ctx, id, f, l)
}

// askUnload asks the filter, one at a time, and not one that ends already.
func (m *Manager) askUnload(ctx context.Context, id topology.FilterID, f *weir.Filter, l *life, mandatory bool) error {
	if f.Unload == nil {
		return nil
	}
	bounded, cancel := context.WithCancel(ctx)
	if mandatory {
		bounded, cancel = context.WithTimeout(ctx, m.options.StopTimeout/8)
	}
	defer cancel()
	select {
	case l.asking <- struct{}{}:
	case <-bounded.Done():
		if mandatory {
			m.abandon(l, f.Name, "Unload, which somebody else has called")
			return nil
		}
		return ctx.Err()
	}
	if m.stopping(id) {
		<-l.asking
		return nil
	}
	err := within(bounded.Done(), func() error {
		defer func() { <-l.asking }()
		return m.guard(f, "Unload", func() error { return f.Unload(bounded, mandatory) })
	}, nil)
	switch {
	case mandatory && errors.Is(err, errGivenUp):
		m.abandon(l, f.Name, "Unload")
		return nil
	case errors.Is(err, errGivenUp):
		return &weir.Error{Op: "unload filter", Path: f.Name, Err: fmt.Errorf("it has not said whether it may be: %w", ctx.Err()), Hint: "weir unload --force does not wait for that"}
	}
	if err != nil || !mandatory { // That one who cannot refuse does not, says nothing of what it has said before.
		m.refusedBy(l, err)
	}
	if err == nil || mandatory {
		return nil
	}
	return &weir.Error{
		Op: "unload filter", Kind: weir.KindRefused, Path: f.Name, Err: err, Hint: "weir unload --force cannot be refused",
	}
}

// stopping tells whether a filter is on its way out, or gone.
func (m *Manager) stopping(id topology.FilterID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.state.View().Filters {
		if f.ID == id {
			return f.Stopping
		}
	}
	return true
}

// awaitEnd waits until nothing of a filter is left.
func (m *Manager) awaitEnd(ctx context.Context, id topology.FilterID, f *weir.Filter, l *life) error {
	for {
		m.mu.Lock()
		gone, changed := m.filters[id] == nil && l.connected == 0, m.changed
		m.mu.Unlock()
		if gone {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m.notEnded(id, f, l, ctx.Err())
		}
	}
}

// notEnded names what keeps a filter.
func (m *Manager) notEnded(id topology.FilterID, f *weir.Filter, l *life, cause error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept []string
	for work, r := range m.runs {
		if work.Filter == id {
			kept = append(kept, strings.Join(append([]string{m.describeLocked(work)}, r.keepers()...), ": "))
		}
	}
	if l.connected > 0 {
		kept = append(kept, fmt.Sprintf("conversations with programs: %d", l.connected))
	}
	if len(kept) == 0 {
		kept = []string{"nothing that is known"}
	}
	return &weir.Error{
		Op: "unload filter", Path: f.Name, Err: fmt.Errorf("it has not ended: %s: %w", strings.Join(kept, "; "), cause),
		Hint: "it goes on ending; weir unload --force does not wait for it",
	}
}
