package manager

import (
	"context"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/ledger"
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
	attached  bool          // it is, or was
	ended     bool          // nothing is left of it
	changes   int           // of the volume's mounts, that it was to be told of
	heeded    int           // the last of them that its filter was asked about and has answered
	told      time.Time     // since when it is told of everything, where something may have been done before

	scans []func(*ledger.Ledger) error // that ended before it was attached
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
	in.ended = true
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
	m.verifier.Ended(in.Host())
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
		Missed:  func(since time.Time, cause string) error { return m.missed(in, since, cause) },
		Scanned: func(began time.Time, by string) error { return m.scanned(in, began, by) },
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
	m.recordUnseenLocked(in)
	m.recordScansLocked(in)
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
