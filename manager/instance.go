package manager

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
)

// instance is one instance of a filter on one volume, from the claim of its set-up to the end of its teardown. Manager.mu
// guards the fields that change.
type instance struct {
	*dispatch.Instance
	pair   topology.Pair
	joint  topology.Joint
	name   string // of its filter
	stack  *dispatch.Stack
	shared *shared

	callback  weir.Instance // once Setup has returned
	committed bool          // attached, and not yet torn down
	gated     bool          // it uses the joint's gate
}

// share names what the instances of a filter on a volume have in common.
type share struct {
	filter topology.FilterID
	volume weir.VolumeID
}

// shared is that.
type shared struct {
	contexts *dispatch.Contexts
	users    int
}

// shareLocked returns what an instance has in common with others.
func (m *Manager) shareLocked(key share, name string) *shared {
	s := m.shared[key]
	if s == nil {
		owner := fmt.Sprintf("filter %s on volume %d", name, key.volume)
		s = &shared{contexts: dispatch.NewContexts(owner, m.options.Logger)}
		m.shared[key] = s
	}
	s.users++
	return s
}

// retire frees what an instance has that is no more, and what it was the last to use.
func (m *Manager) retire(in *instance) {
	in.End()
	m.mu.Lock()
	in.shared.users--
	last := in.shared.users == 0
	if last {
		delete(m.shared, share{in.pair.Filter, in.pair.Volume})
	}
	if l := m.lives[in.pair.Filter]; l != nil {
		l.past.Add(in.Stats())
	}
	m.mu.Unlock()
	if last {
		in.shared.contexts.End()
	}
	m.ungate(in)
	m.relent(in.joint)
}

// enlistLocked puts the instance into its volume's stack before its Setup begins: what completes while
// Setup runs waits in the inbox.
func (m *Manager) enlistLocked(pair topology.Pair) *instance {
	f := m.filters[pair.Filter]
	joint := topology.Joint{Frame: m.state.FrameOf(pair.Filter), Volume: pair.Volume}
	in := &instance{
		pair: pair, joint: joint, name: f.Name, stack: m.stackLocked(joint),
		shared: m.shareLocked(share{pair.Filter, pair.Volume}, f.Name),
	}
	in.Instance = dispatch.NewInstance(dispatch.Site{
		Filter: f, Definition: f.Definitions()[pair.Instance], Volume: pair.Volume, Stack: in.stack, Shared: in.shared.contexts,
		Twin: func(v weir.VolumeID) *dispatch.Instance { return m.twin(pair, v) }, Inbox: m.options.Inbox, Logger: m.options.Logger,
		Want: func(ctx context.Context, own *dispatch.Instance, wants weir.Ops) error {
			return m.want(ctx, pair, own, wants)
		},
	})
	m.instances[pair] = in
	in.stack.Add(in.Instance)
	return in
}

// delistLocked takes the instance out of the stack. An operation that is on its way may still reach its
// inbox.
func (m *Manager) delistLocked(in *instance) {
	in.committed = false
	in.stack.Remove(in.Instance)
	delete(m.instances, in.pair)
}

// commitLocked lets operations into an instance that is attached from now on.
func (m *Manager) commitLocked(pair topology.Pair) (after func()) {
	in := m.instances[pair]
	in.committed = true
	m.recordBackLocked(pair)
	in.Open(in.callback)
	return in.Begin
}

// twin returns the instance of a pair's filter on another volume, if it is attached.
func (m *Manager) twin(pair topology.Pair, volume weir.VolumeID) *dispatch.Instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	pair.Volume = volume
	if in := m.instances[pair]; in != nil && in.committed {
		return in.Instance
	}
	return nil
}

// ask asks the filter whether the volume concerns it.
func (m *Manager) ask(ctx context.Context, work topology.Work) {
	m.mu.Lock()
	f, v, l := m.filters[work.Filter], m.volumes[work.Volume].volume, m.lives[work.Filter]
	m.mu.Unlock()
	if f.Concerns == nil {
		m.finish(work, nil, func() {})
		return
	}
	err := within(l.force, func() error { return guard(f, "Concerns", func() error { return f.Concerns(ctx, v) }) }, nil)
	m.finish(work, err, func() {})
}

// guard turns a panic of the filter into an error: one bad volume must not end the others.
func guard(f *weir.Filter, name string, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in %s of filter %s: %v\n%s", name, f.Name, p, debug.Stack())
		}
	}()
	return call()
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
		err = within(l.force, func() error {
			return guard(f, "Setup", func() (err error) {
				if callback, err = f.Setup(ctx, site); err != nil {
					callback = nil
				}
				return err
			})
		}, func() { m.undo(in, f, callback) })
	}
	if err == nil {
		if err = dispatch.Check(f, callback); err != nil {
			m.undo(in, f, callback)
		}
	}
	m.finish(work, err, func() {
		if err != nil {
			m.delistLocked(in)
			return
		}
		in.callback = callback
	})
	if err != nil {
		m.retire(in)
	}
}

// undo ends an instance that nobody waited for, or that cannot be used.
func (m *Manager) undo(in *instance, f *weir.Filter, callback weir.Instance) {
	if callback == nil {
		return
	}
	err := guard(f, "Teardown", func() error {
		callback.Teardown(m.teardown, weir.TeardownFilterUnload)
		return nil
	})
	if err != nil {
		m.options.Logger.Error("an instance did not end cleanly", "filter", in.name, "volume", in.pair.Volume, "error", err)
	}
}

func (m *Manager) tearDown(ctx context.Context, work topology.Work, in *instance, reason weir.TeardownReason) {
	m.mu.Lock()
	l := m.lives[work.Filter]
	m.mu.Unlock()
	holds, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.hurry, cancel)()
	callback, cancel := context.WithTimeout(holds, m.options.StopTimeout)
	defer cancel()
	inside, cancel := context.WithTimeout(callback, m.options.StopTimeout/2)
	defer cancel()
	in.TearDown(dispatch.Patience{Inside: inside, Teardown: callback, Holds: holds, All: l.force}, in.callback, reason)
	m.retire(in)
	m.finish(work, nil, func() {})
}
