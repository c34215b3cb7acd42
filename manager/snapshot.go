package manager

import (
	"context"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// Snapshot is everything at one epoch.
type Snapshot struct {
	Epoch uint64 `json:"epoch"`
	// Complete tells whether every volume that exists has been told; Missed says why not, if events of
	// mounts were lost.
	Complete bool             `json:"complete"`
	Missed   string           `json:"missed,omitempty"`
	Stopping bool             `json:"stopping"`
	Volumes  []VolumeSnapshot `json:"volumes"`
	Filters  []FilterSnapshot `json:"filters"`
	Slots    []SlotSnapshot   `json:"slots"` // by volume, then by the order in which filters were started
}

// VolumeSnapshot is one volume and the frame's link to it.
type VolumeSnapshot struct {
	Info    weir.VolumeInfo    `json:"info"`
	Since   time.Time          `json:"since"` // when weir learned of it
	Listed  bool               `json:"listed"`
	Leaving bool               `json:"leaving"`
	Link    topology.LinkState `json:"link"`
	LinkWhy string             `json:"link_why,omitempty"`
}

// FilterSnapshot is one filter.
type FilterSnapshot struct {
	Name     string        `json:"name"`
	Altitude weir.Altitude `json:"altitude"`
	Wants    string        `json:"wants"`
	Stopping bool          `json:"stopping"`
}

// SlotSnapshot is one pair.
type SlotSnapshot struct {
	Filter   string             `json:"filter"`
	Volume   weir.VolumeID      `json:"volume"`
	State    topology.SlotState `json:"state"`
	Why      string             `json:"why,omitempty"`
	By       string             `json:"by,omitempty"`
	Attempts int                `json:"attempts,omitempty"`
	Hung     bool               `json:"hung,omitempty"`
}

// Filter returns the filter of that name, or nil.
func (s Snapshot) Filter(name string) *FilterSnapshot {
	for i := range s.Filters {
		if s.Filters[i].Name == name {
			return &s.Filters[i]
		}
	}
	return nil
}

// Slot returns the slot of a filter on a volume, or nil if nothing is owed.
func (s Snapshot) Slot(filter string, volume weir.VolumeID) *SlotSnapshot {
	for i := range s.Slots {
		if s.Slots[i].Filter == filter && s.Slots[i].Volume == volume {
			return &s.Slots[i]
		}
	}
	return nil
}

// Settled tells whether all volumes are known and no slot waits or works. A slot that waits for a plane
// which has failed on its volume does not count: that may last, as on a mount that another one hides.
func (s Snapshot) Settled() bool {
	failed := map[weir.VolumeID]bool{}
	for _, v := range s.Volumes {
		failed[v.Info.ID] = v.Link == topology.LinkFailed
	}
	for _, slot := range s.Slots {
		switch slot.State {
		case topology.SlotPending:
			if !failed[slot.Volume] {
				return false
			}
		case topology.SlotSettingUp, topology.SlotDraining:
			return false
		}
	}
	return s.Complete
}

// Snapshot returns everything as it is between two steps.
func (m *Manager) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshotLocked()
}

func (m *Manager) snapshotLocked() Snapshot {
	view := m.state.View()
	s := Snapshot{Epoch: view.Epoch, Complete: view.Complete, Missed: view.Missed, Stopping: view.Stopping}
	for _, v := range view.Volumes {
		known := m.volumes[v.ID]
		s.Volumes = append(s.Volumes, VolumeSnapshot{Info: known.info, Since: known.since, Listed: v.Listed, Leaving: v.Leaving})
		for _, l := range view.Links {
			if l.Joint.Volume == v.ID {
				last := &s.Volumes[len(s.Volumes)-1]
				last.Link, last.LinkWhy = l.State, l.Why
			}
		}
	}
	for _, v := range view.Filters {
		f := m.filters[v.ID]
		s.Filters = append(s.Filters, FilterSnapshot{f.Name, f.Altitude, f.Wants.String(), v.Stopping})
	}
	for _, v := range view.Slots {
		s.Slots = append(s.Slots, SlotSnapshot{
			m.filters[v.Pair.Filter].Name, v.Pair.Volume, v.State, v.Why, v.By, v.Attempts, v.Hung,
		})
	}
	return s
}

// Wait blocks until holds returns true for a snapshot, or ctx ends. It looks again after every step.
func (m *Manager) Wait(ctx context.Context, holds func(Snapshot) bool) error {
	for {
		m.mu.Lock()
		s, changed := m.snapshotLocked(), m.changed
		m.mu.Unlock()
		if holds(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
