package manager

import (
	"context"
	"errors"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
)

// ask asks the filter whether the volume concerns it.
func (m *Manager) ask(ctx context.Context, work topology.Work) {
	m.finish(work, m.concerns(ctx, work), func() {})
}

// concerns calls Concerns, unless filter or volume have left.
func (m *Manager) concerns(ctx context.Context, work topology.Work) error {
	m.mu.Lock()
	f, v, l := m.filters[work.Filter], m.volumes[work.Volume], m.lives[work.Filter]
	m.mu.Unlock()
	if f == nil || v == nil || f.Concerns == nil {
		return nil
	}
	err := within(l.over.Done(), func() error { return m.guard(f, "Concerns", func() error { return f.Concerns(ctx, v.volume) }) }, nil)
	m.noteGivenUp(l, work, "Concerns", err)
	return err
}

// reconsider asks the filter of an instance whether the volume, whose mounts have changed, concerns it still. If the filter cannot
// tell, the instance goes on; so it does if they have changed again meanwhile, about which the filter is asked too.
func (m *Manager) reconsider(in *instance, change int) {
	ctx, cancel := context.WithTimeout(m.work, m.options.WorkTimeout)
	defer cancel()
	p := in.pair
	outcome, why := outcomeOf(topology.Ask, m.concerns(ctx, topology.Work{Kind: topology.Ask, Filter: p.Filter, Instance: p.Instance, Volume: p.Volume}))
	if outcome != topology.Declined {
		return
	}
	m.mu.Lock()
	var after []func()
	if m.instances[p] == in && in.changes == change {
		after = m.applyLocked(topology.Unconcern{Pair: p, Why: why})
	}
	m.mu.Unlock()
	carryOut(after)
}

// reconsidered notes that the filter has answered.
func (m *Manager) reconsidered(in *instance, change int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in.heeded = max(in.heeded, change)
	close(m.changed)
	m.changed = make(chan struct{})
}

var errGivenUp = errors.New("it has not returned, and is not waited for any more")

// within makes a call on a goroutine of its own and returns what it does, or errGivenUp as soon as over is closed. Then
// late, if there is one, runs when the call does return.
func within(over <-chan struct{}, call func() error, late func()) error {
	done := make(chan error, 1)
	taken := make(chan bool, 1)
	go func() {
		done <- call()
		if !<-taken && late != nil {
			late()
		}
	}()
	select {
	case err := <-done:
		taken <- true
		return err
	case <-over:
		taken <- false
		return errGivenUp
	}
}

func (m *Manager) setUp(ctx context.Context, work topology.Work, in *instance, reason weir.SetupReason) {
	m.mu.Lock()
	f, v, l := m.filters[work.Filter], m.volumes[work.Volume].volume, m.lives[work.Filter]
	m.mu.Unlock()
	site := weir.Site{Volume: v, Instance: f.Definitions()[work.Instance], Reason: reason, Host: in.Host()}
	var callback weir.Instance
	err := m.gate(ctx, in, f)
	if err == nil {
		err = m.provide(ctx, in)
	}
	if err == nil {
		m.meet(in, reason, v)
		err = within(l.over.Done(), func() error {
			return m.guard(f, "Setup", func() (err error) {
				if callback, err = f.Setup(ctx, site); err != nil {
					callback = nil
				}
				return err
			})
		}, func() { m.undo(f, callback, m.reasonLate()) })
		m.noteGivenUp(l, work, "Setup", err)
	}
	if err == nil {
		if err = dispatch.Check(f, callback); err != nil {
			undone := within(l.over.Done(), func() error { m.undo(f, callback, weir.TeardownInternalError); return nil }, nil)
			m.noteGivenUp(l, work, "Teardown", undone)
		}
	}
	m.finish(work, err, func() {
		if err != nil {
			m.delistLocked(in)
			return
		}
		in.callback = callback
		m.metLocked(in)
	})
	if err != nil {
		m.retire(in)
	}
}

// noteGivenUp notes a callback that has not returned in time.
func (m *Manager) noteGivenUp(l *life, work topology.Work, callback string, err error) {
	if errors.Is(err, errGivenUp) {
		m.abandon(l, m.describe(work), callback)
	}
}

// reasonLate is why an instance ends whose Setup has returned when nobody waited for it any more.
func (m *Manager) reasonLate() weir.TeardownReason {
	if m.teardown.Err() != nil {
		return weir.TeardownShutdown
	}
	return weir.TeardownMandatoryUnload
}

// undo ends an instance that nobody waited for, or that cannot be used.
func (m *Manager) undo(f *weir.Filter, callback weir.Instance, reason weir.TeardownReason) {
	if callback == nil {
		return
	}
	_ = m.guard(f, "Teardown", func() error {
		callback.Teardown(m.teardown, reason)
		return nil
	})
}

func (m *Manager) tearDown(work topology.Work, in *instance, reason weir.TeardownReason) {
	m.mu.Lock()
	l := m.lives[work.Filter]
	m.mu.Unlock()
	patience := dispatch.Patience{
		Pended: m.options.StopTimeout / 2, Teardown: m.options.StopTimeout, Hurry: l.hurry, All: l.over.Done(),
	}
	left := in.TearDown(patience, in.callback, reason)
	m.abandon(l, m.describe(work), left...)
	m.retire(in)
	m.finish(work, nil, func() {})
}
