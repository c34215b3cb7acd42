package manager

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
)

// Snapshot is everything at one epoch.
type Snapshot struct {
	Epoch uint64 `json:"epoch"`
	// Complete tells whether every volume that exists has been told; Missed says why not, if events of
	// mounts were lost.
	Complete bool             `json:"complete"`
	Missed   string           `json:"missed,omitempty"`
	Stopping bool             `json:"stopping"`
	Frames   []FrameSnapshot  `json:"frames"` // from low to high
	Volumes  []VolumeSnapshot `json:"volumes"`
	Filters  []FilterSnapshot `json:"filters"`
	Slots    []SlotSnapshot   `json:"slots"` // by volume, then by the order in which filters were started

	// Missing names the filters among Options.Filters that ask for operations by themselves and are not loaded, unless the
	// manager is being stopped: what they are for is not done.
	Missing []string `json:"missing,omitempty"`

	// Violations counts the rules that filters have broken, also those that are gone, since they were to be verified.
	Violations []verify.Count `json:"violations,omitempty"`
}

// FrameSnapshot is one frame: the altitudes from Low up to, and without, High.
type FrameSnapshot struct {
	ID   topology.FrameID `json:"id"`
	Low  weir.Altitude    `json:"low"`
	High weir.Altitude    `json:"high,omitzero"` // where a layer is; zero for the highest frame, which has no end
}

// VolumeSnapshot is one volume and the links of the frames to it.
type VolumeSnapshot struct {
	Info    weir.VolumeInfo `json:"info"`
	Since   time.Time       `json:"since"` // when weir learned of it
	Listed  bool            `json:"listed"`
	Leaving bool            `json:"leaving"`
	Links   []LinkSnapshot  `json:"links"` // by frame

	Excluded Exclusion `json:"excluded,omitzero"`
}

// Exclusion is what keeps filters off a volume; zero if nothing does.
type Exclusion struct {
	Why   string    `json:"why"`   // who has said so, and by what
	Since time.Time `json:"since"` // when this weir found that it is meant
}

// LinkSnapshot is one frame on one volume.
type LinkSnapshot struct {
	Frame topology.FrameID   `json:"frame"`
	State topology.LinkState `json:"state"`
	Why   string             `json:"why,omitempty"`
	Plane string             `json:"plane,omitempty"` // while it is attached
	Gate  string             `json:"gate,omitempty"`  // the plane that intercepts, if one does

	// OutOfReach is why no mount of the volume could be reached when that was tried last: nobody can observe it as it is
	// mounted now. It stands while it is tried again, and is empty where that is not what keeps the frame from the volume.
	OutOfReach string `json:"out_of_reach,omitempty"`
}

// FilterSnapshot is one filter.
type FilterSnapshot struct {
	Name     string           `json:"name"`
	Altitude weir.Altitude    `json:"altitude"`
	Frame    topology.FrameID `json:"frame"`
	Wants    string           `json:"wants"`

	// Definitions are the instances that it has on each volume, the default one first. They must not be changed.
	Definitions []weir.Definition `json:"definitions"`

	Scans    bool            `json:"scans,omitempty"` // it looks by itself for what it has missed
	Before   string          `json:"before,omitempty"`
	After    string          `json:"after,omitempty"`
	Skips    string          `json:"skips,omitempty"` // classes of operations that it leaves out
	Stopping bool            `json:"stopping"`
	Stats    *dispatch.Stats `json:"stats,omitempty"` // what its instances have seen; not in what Wait shows
}

// SlotSnapshot is one instance of a filter on a volume, or the debt for it.
type SlotSnapshot struct {
	Pair     topology.Pair      `json:"-"`
	Filter   string             `json:"filter"`
	Instance string             `json:"instance"`
	Altitude weir.Altitude      `json:"altitude"`
	Attach   weir.Attach        `json:"attach"`
	Frame    topology.FrameID   `json:"frame"`
	Volume   weir.VolumeID      `json:"volume"`
	State    topology.SlotState `json:"state"`
	Why      string             `json:"why,omitempty"`
	By       string             `json:"by,omitempty"`
	Attempts int                `json:"attempts,omitempty"`
	Hung     bool               `json:"hung,omitempty"`

	// Declined is why the filter declines. While it is asked again, that stands until it gives another answer.
	Declined string `json:"declined,omitempty"`

	// Asked tells that the volume's mounts have changed, and that the filter has not said yet whether it concerns it still.
	Asked bool `json:"asked,omitempty"`

	// Idle tells that the instance asks for no operations now. That it begins to, or ends, is no step of the topology.
	Idle bool `json:"idle,omitempty"`

	// Remarks say where on the volume the filter does nothing although it is attached. They are not in what Wait shows.
	Remarks []weir.Remark `json:"remarks,omitempty"`
}

// Declines tells whether the filter has no business on the volume, as it has said last.
func (s SlotSnapshot) Declines() bool {
	return s.State == topology.SlotDeclined || s.Declined != ""
}

// Asks tells whether the filter asks for operations by itself, and not only when somebody wants it to.
func (f FilterSnapshot) Asks() bool { return f.Wants != "" || f.Before != "" || f.After != "" }

// Filter returns the filter of that name, or nil.
func (s Snapshot) Filter(name string) *FilterSnapshot {
	for i := range s.Filters {
		if s.Filters[i].Name == name {
			return &s.Filters[i]
		}
	}
	return nil
}

// Slot returns the first slot of a filter on a volume, or nil if nothing is owed.
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
func (s Snapshot) Settled() bool { return s.Complete && s.settled("") }

// SettledOf is Settled for the slots of one filter, on the volumes that are known.
func (s Snapshot) SettledOf(filter string) bool { return s.settled(filter) }

func (s Snapshot) settled(filter string) bool {
	failed := map[topology.Joint]bool{}
	for _, v := range s.Volumes {
		for _, l := range v.Links {
			failed[topology.Joint{Frame: l.Frame, Volume: v.Info.ID}] = l.State == topology.LinkFailed
		}
	}
	for _, slot := range s.Slots {
		if filter != "" && slot.Filter != filter {
			continue
		}
		switch slot.State {
		case topology.SlotPending:
			if !failed[topology.Joint{Frame: slot.Frame, Volume: slot.Volume}] {
				return false
			}
		case topology.SlotSettingUp, topology.SlotDraining:
			return false
		}
	}
	return true
}

// Snapshot returns everything as it is between two steps.
func (m *Manager) Snapshot() Snapshot {
	m.mu.Lock()
	s := m.snapshotLocked()
	m.measureLocked(&s)
	s.Violations = m.verifier.Counts()
	var filters []*weir.Filter
	for _, f := range m.filters {
		if f.Remarks != nil {
			filters = append(filters, f)
		}
	}
	m.mu.Unlock()
	for _, f := range filters {
		m.addRemarks(&s, f)
	}
	return s
}

// measureLocked adds what the instances have seen.
func (m *Manager) measureLocked(s *Snapshot) {
	at := map[string]*dispatch.Stats{}
	for i := range s.Filters {
		s.Filters[i].Stats = new(dispatch.Stats)
		at[s.Filters[i].Name] = s.Filters[i].Stats
	}
	for id, f := range m.filters {
		at[f.Name].Add(m.lives[id].past)
	}
	for _, in := range m.instances {
		at[in.name].Add(in.Stats())
	}
}

func (m *Manager) snapshotLocked() Snapshot {
	view := m.state.View()
	s := Snapshot{Epoch: view.Epoch, Complete: view.Complete, Missed: view.Missed, Stopping: view.Stopping}
	for _, f := range view.Frames {
		s.Frames = append(s.Frames, FrameSnapshot{f.ID, f.Low, f.High})
	}
	links := map[weir.VolumeID][]LinkSnapshot{}
	for _, l := range view.Links {
		links[l.Joint.Volume] = append(links[l.Joint.Volume], LinkSnapshot{
			l.Joint.Frame, l.State, l.Why, m.held[l.Joint].name(), m.gates[l.Joint].name(), m.outOfReachLocked(l),
		})
	}
	for _, v := range view.Volumes {
		known := m.volumes[v.ID]
		s.Volumes = append(s.Volumes, VolumeSnapshot{known.info, known.since, v.Listed, v.Leaving, links[v.ID], known.excluded})
	}
	for _, v := range view.Filters {
		f := m.filters[v.ID]
		s.Filters = append(s.Filters, FilterSnapshot{
			f.Name, f.Altitude, v.Frame, f.Wants.String(), f.Definitions(), f.Scans, f.Before.String(), f.After.String(), f.Skips.String(), v.Stopping, nil,
		})
	}
	for _, v := range view.Slots {
		f := m.filters[v.Pair.Filter]
		d := f.Definitions()[v.Pair.Instance]
		s.Slots = append(s.Slots, SlotSnapshot{
			v.Pair, f.Name, d.Name, v.Altitude, d.Attach, m.state.FrameOf(v.Pair.Filter), v.Pair.Volume,
			v.State, m.whyLocked(v), v.By, v.Attempts, v.Hung, v.Declined, m.askedLocked(v.Pair), m.idleLocked(v.Pair), nil,
		})
	}
	s.Missing = m.missing(s)
	return s
}

// outOfReachLocked says why a link is not attached, if no mount of the volume can be reached.
func (m *Manager) outOfReachLocked(l topology.LinkView) string {
	failed := m.told[topology.Work{Kind: topology.AttachFrame, Frame: l.Joint.Frame, Volume: l.Joint.Volume}]
	var far weir.OutOfReach
	switch l.State {
	case topology.LinkPending, topology.LinkAttaching:
		errors.As(failed, &far)
	case topology.LinkFailed:
		if errors.As(failed, &far) && failed.Error() != l.Why {
			return "" // It has hung since.
		}
	}
	return string(far)
}

// missing lists the filters that the manager was made with, and that are not there.
func (m *Manager) missing(s Snapshot) (names []string) {
	for _, f := range m.options.Filters {
		if !s.Stopping && asks(f) && s.Filter(f.Name) == nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// askedLocked tells whether the filter of an instance is asked about a change of mounts.
func (m *Manager) askedLocked(pair topology.Pair) bool {
	in := m.instances[pair]
	return in != nil && in.heeded < in.changes
}

// idleLocked tells whether an instance asks for nothing now.
func (m *Manager) idleLocked(pair topology.Pair) bool {
	in, f := m.instances[pair], m.filters[pair.Filter]
	return in != nil && f != nil && in.Wants()|f.Before|f.After == 0
}

// whyLocked says why a slot is as it is: of an instance that is being torn down, what keeps it.
func (m *Manager) whyLocked(v topology.SlotView) string {
	if v.State != topology.SlotDraining {
		return v.Why
	}
	tearDown := topology.Work{
		Kind: topology.TearDown, Filter: v.Pair.Filter, Instance: v.Pair.Instance, Volume: v.Pair.Volume,
	}
	return strings.Join(m.runs[tearDown].keepers(), "; ")
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
