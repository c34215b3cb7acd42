package manager

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
)

// apply feeds the topology and carries out what it asks for.
func (m *Manager) apply(input topology.Input) {
	m.mu.Lock()
	after := m.applyLocked(input)
	m.mu.Unlock()
	carryOut(after)
}

// applyLocked updates the manager's own tables together with the topology, so that they always agree,
// and returns what must be done without the lock.
func (m *Manager) applyLocked(input topology.Input) (after []func()) {
	for _, effect := range m.state.Apply(input) {
		if act := m.carryOutLocked(effect); act != nil {
			after = append(after, act)
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return after
}

// carryOut does what applyLocked has returned.
func carryOut(after []func()) {
	for _, act := range after {
		act()
	}
}

func (m *Manager) carryOutLocked(effect topology.Effect) (after func()) {
	switch e := effect.(type) {
	case topology.Offer:
		m.running.Add(1)
		go m.do(e.Work)
	case topology.Cancel:
		if r := m.runs[e.Work]; r != nil {
			return r.cancel
		}
	case topology.Commit:
		return m.commitLocked(e.Pair)
	case topology.NotifyChanged:
		if in := m.instances[e.Pair]; in != nil {
			in.changes++
			change := in.changes
			return func() {
				m.running.Go(in.Change)
				m.running.Go(func() {
					m.reconsider(in, change)
					m.reconsidered(in, change)
				})
			}
		}
	case topology.NotifyObserved:
		if in := m.instances[e.Pair]; in != nil {
			lose := func() { in.Lose("the volume is observed only from now on") }
			return func() { m.running.Go(lose) }
		}
	case topology.Retry:
		m.scheduleLocked(e)
	case topology.Recorded, topology.LinkRecorded, topology.VolumePublished:
		m.recordLocked(e)
	case topology.VolumeGone:
		m.recordLocked(e)
		after = m.passedLocked(m.volumes[e.Volume])
		delete(m.volumes, e.Volume)
		m.dropRetriesLocked(e.Volume)
		return after
	case topology.FilterGone:
		f, l := m.filters[e.Filter], m.lives[e.Filter]
		l.unloading.gone = true
		m.forgetPanicsLocked(f.Name)
		delete(m.filters, e.Filter)
		delete(m.lives, e.Filter)
		return m.auditLocked(f, l)
	case topology.Down:
		close(m.down)
	}
	return nil
}

// intake feeds what discovery tells to the topology.
type intake struct{ m *Manager }

// Arrived implements weir.VolumeSink.
func (i *intake) Arrived(v weir.Volume, listed bool) {
	m := i.m
	info := v.Info()
	excluded := m.options.Exclude(info)
	m.mu.Lock()
	if m.volumes[v.ID()] == nil {
		m.volumes[v.ID()] = &volume{volume: v, stacks: map[topology.FrameID]*dispatch.Stack{}, info: info, since: now(), met: map[topology.FilterID]bool{}}
	}
	m.volumes[v.ID()].exclude(excluded)
	after := m.applyLocked(topology.VolumeArrived{
		Volume: v.ID(), Listed: listed, Excluded: excluded, Layer: info.Layer, Altitude: info.LayerAltitude,
	})
	m.mu.Unlock()
	carryOut(after)
}

// Changed implements weir.VolumeSink.
func (i *intake) Changed(v weir.Volume) {
	info := v.Info()
	excluded := i.m.options.Exclude(info)
	i.m.mu.Lock()
	if known := i.m.volumes[v.ID()]; known != nil {
		known.info = info // in one step with what it means for the slots
		known.exclude(excluded)
	}
	after := i.m.applyLocked(topology.VolumeChanged{Volume: v.ID(), Excluded: excluded})
	i.m.mu.Unlock()
	carryOut(after)
}

// Left implements weir.VolumeSink.
func (i *intake) Left(v weir.Volume) {
	i.m.mu.Lock()
	i.m.recordLeftLocked(v.ID())
	after := i.m.applyLocked(topology.VolumeLeft{Volume: v.ID()})
	i.m.mu.Unlock()
	carryOut(after)
}

// Passed implements weir.VolumeSink.
func (i *intake) Passed() {
	i.m.mu.Lock()
	tell := i.m.passedLocked(&volume{})
	i.m.mu.Unlock()
	tell()
}

// Listed implements weir.VolumeSink.
func (i *intake) Listed() { i.m.apply(topology.DiscoveryListed{}) }

// Missed implements weir.VolumeSink.
func (i *intake) Missed(reason string) { i.m.apply(topology.DiscoveryMissed{Why: reason}) }
