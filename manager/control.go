package manager

import (
	"context"
	"errors"
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
	registered := topology.FilterRegistered{Filter: m.nextID + 1, Altitude: f.Altitude}
	for _, d := range f.Definitions() {
		registered.Instances = append(registered.Instances, topology.Instance{Altitude: d.Altitude, Manual: d.Attach == weir.AttachManual})
	}
	if a, frame, misplaced := m.state.Misplaced(registered); misplaced {
		m.mu.Unlock()
		return misplacedError(f, a, frame)
	}
	m.nextID++
	id := m.nextID
	m.filters[id] = m.verifier.Filter(f)
	m.lives[id] = m.newLife()
	after := m.applyLocked(registered)
	after = append(after, m.applyLocked(topology.FilterStarted{Filter: id})...)
	m.mu.Unlock()
	m.lint(f)
	carryOut(after)
	return nil
}

// lint warns of altitudes at which nobody expects a filter, whether or not somebody watches the filters. None is refused:
// groups are a convention.
func (m *Manager) lint(f *weir.Filter) {
	m.verifier.Check(f)
	for _, d := range f.Definitions() {
		if weir.GroupOf(d.Altitude) == "" {
			m.options.Logger.Warn("a filter stands outside of all load-order groups", "filter", f.Name, "instance", d.Name, "altitude", d.Altitude,
				"do", "give it an altitude of the group of its kind, as weir.Groups lists them")
		}
	}
}

// misplacedError says that a layer is between two instances of one filter.
func misplacedError(f *weir.Filter, a weir.Altitude, frame topology.FrameView) error {
	interval := fmt.Sprintf("from %s upwards", frame.Low)
	if frame.Bounded {
		interval = fmt.Sprintf("from %s to below %s", frame.Low, frame.High)
	}
	return &weir.Error{
		Op: "start filter", Kind: weir.KindRefused, Path: f.Name,
		Err:  fmt.Errorf("its instance at altitude %s is not in the frame of altitude %s, which reaches %s", a, f.Altitude, interval),
		Hint: "give all its instances altitudes between two layers",
	}
}

// Attach asks for an instance by hand; one of no name is the filter's default, the first that it defines. It undoes Detach, a
// removal, an exclusion and a refusal of the filter, and returns before the instance is set up. The error is of KindAbsent if
// filter or volume is not there, and of KindRefused for an instance that is attached by itself only.
func (m *Manager) Attach(name, instance string, volume weir.VolumeID) error {
	pair, d, err := m.pair(name, instance, volume)
	switch {
	case err != nil:
		return err
	case d.Attach == weir.AttachAutomatic:
		return &weir.Error{
			Op: "attach instance", Kind: weir.KindRefused, Path: d.Name,
			Err:  fmt.Errorf("filter %s has it attached by itself only, as its definition says: attach is automatic", name),
			Hint: "it comes back with the volume, or when the filter is loaded again",
		}
	}
	m.apply(topology.Attach{Pair: pair})
	return nil
}

// Detach takes the instance away by hand, if it consents: the error is of KindRefused if not, and where there is nothing to
// take away, since the filter declines the volume or a rule excludes it. It stays away until Attach, or until the volume or the
// filter comes anew. by says who asked. It returns before the teardown has ended.
func (m *Manager) Detach(ctx context.Context, name, instance string, volume weir.VolumeID, by string) error {
	pair, _, err := m.pair(name, instance, volume)
	if err == nil {
		err = m.query(ctx, pair)
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	if slot, known := m.state.Slot(pair); known && (slot.Declined != "" || slot.State == topology.SlotExcluded) {
		m.mu.Unlock()
		return nothingThere(name, slot)
	}
	after := m.applyLocked(topology.Detach{Pair: pair, By: by})
	m.mu.Unlock()
	carryOut(after)
	return nil
}

// nothingThere says that there is no instance which could be detached, and none to come.
func nothingThere(filter string, slot topology.SlotView) error {
	why := "the volume is excluded: " + slot.Why
	if slot.Declined != "" {
		why = "the filter declines: " + slot.Declined
	}
	return &weir.Error{
		Op: "detach instance", Kind: weir.KindRefused, Path: filter, Err: fmt.Errorf("it has no instance there: %s", why),
		Hint: "weir instances lists those that there are",
	}
}

// takeAway ends an instance that has done what it should not, if it has not ended yet. It stays away like one that somebody has
// detached.
func (m *Manager) takeAway(of weir.Host, why string) {
	m.mu.Lock()
	var after []func()
	for pair, in := range m.instances {
		if in.Host() == of {
			after = m.applyLocked(topology.Remove{Pair: pair, Why: why})
			break
		}
	}
	m.mu.Unlock()
	carryOut(after)
}

// query asks an instance that is attached.
func (m *Manager) query(ctx context.Context, pair topology.Pair) error {
	m.mu.Lock()
	in := m.instances[pair]
	asks := in != nil && in.committed
	m.mu.Unlock()
	if !asks {
		return nil
	}
	err := within(ctx.Done(), func() error { return in.Query(ctx) }, nil)
	if errors.Is(err, errGivenUp) {
		return fmt.Errorf("ask the instance whether it may be detached: %w", ctx.Err())
	}
	if err != nil {
		return &weir.Error{Op: "detach instance", Kind: weir.KindRefused, Path: in.name, Err: err}
	}
	return nil
}

// Blind lists, in full clauses, what the plane of that name cannot see.
func (m *Manager) Blind(plane string) []string {
	for _, p := range m.options.Planes {
		if p.Name() == plane {
			return p.Blind()
		}
	}
	return nil
}

// pair finds a slot, and what it is defined as. An instance of no name is the filter's default.
func (m *Manager) pair(name, instance string, volume weir.VolumeID) (pair topology.Pair, d weir.Definition, err error) {
	id, f, err := m.filter(name)
	if err != nil {
		return pair, d, err
	}
	m.mu.Lock()
	there := m.volumes[volume] != nil
	m.mu.Unlock()
	if !there {
		return pair, d, &weir.Error{Op: "find volume", Kind: weir.KindAbsent, Err: fmt.Errorf("there is no volume %d", volume)}
	}
	for i, d := range f.Definitions() {
		if instance == "" || d.Name == instance {
			return topology.Pair{Filter: id, Instance: i, Volume: volume}, d, nil
		}
	}
	return pair, d, &weir.Error{
		Op: "find instance", Kind: weir.KindAbsent, Path: instance, Err: fmt.Errorf("filter %s has no such instance", name),
	}
}

// filter finds one that runs.
func (m *Manager) filter(name string) (topology.FilterID, *weir.Filter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, f := range m.filters {
		if f.Name == name {
			return id, f, nil
		}
	}
	return 0, nil, &weir.Error{Op: "find filter", Kind: weir.KindAbsent, Path: name, Err: errors.New("no such filter runs")}
}
