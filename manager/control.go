package manager

import (
	"context"
	"fmt"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// Start registers a filter and starts it: every volume that is there owes it an instance at once. It
// returns before they are set up.
func (m *Manager) Start(f *weir.Filter) error {
	m.mu.Lock()
	var others []*weir.Filter
	for _, other := range m.filters {
		others = append(others, other)
	}
	if err := m.checkFilter(f, others); err != nil {
		m.mu.Unlock()
		return err
	}
	m.nextID++
	id := m.nextID
	m.filters[id] = f
	after := m.applyLocked(topology.FilterRegistered{Filter: id, Altitude: f.Altitude})
	after = append(after, m.applyLocked(topology.FilterStarted{Filter: id})...)
	m.mu.Unlock()
	for _, act := range after {
		act()
	}
	return nil
}

// Stop tears down every instance of the filter, and returns when the last has ended or ctx has.
func (m *Manager) Stop(ctx context.Context, name string) error {
	id, err := m.filter(name)
	if err != nil {
		return err
	}
	m.apply(topology.FilterStopping{Filter: id})
	return m.Wait(ctx, func(s Snapshot) bool { return s.Filter(name) == nil })
}

// Attach asks for an instance by hand. It undoes Detach, an exclusion and a refusal of the filter, and
// returns before the instance is set up. The error is of KindAbsent if filter or volume is not there.
func (m *Manager) Attach(name string, volume weir.VolumeID) error {
	pair, err := m.pair(name, volume)
	if err == nil {
		m.apply(topology.Attach{Pair: pair})
	}
	return err
}

// Detach takes the instance away by hand. It stays away until Attach, or until the volume or the filter
// comes anew. by says who asked. It returns before the teardown has ended.
func (m *Manager) Detach(name string, volume weir.VolumeID, by string) error {
	pair, err := m.pair(name, volume)
	if err == nil {
		m.apply(topology.Detach{Pair: pair, By: by})
	}
	return err
}

func (m *Manager) pair(name string, volume weir.VolumeID) (topology.Pair, error) {
	id, err := m.filter(name)
	if err != nil {
		return topology.Pair{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.volumes[volume] == nil {
		return topology.Pair{}, &weir.Error{Op: "find volume", Kind: weir.KindAbsent, Err: fmt.Errorf("there is no volume %d", volume)}
	}
	return topology.Pair{Filter: id, Volume: volume}, nil
}

func (m *Manager) filter(name string) (topology.FilterID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, f := range m.filters {
		if f.Name == name {
			return id, nil
		}
	}
	return 0, &weir.Error{Op: "find filter", Kind: weir.KindAbsent, Path: name, Err: fmt.Errorf("no such filter runs")}
}
