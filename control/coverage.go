package control

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// Coverage is the answer to GET /v1/coverage: the matrix of volumes and instances, and the gaps.
type Coverage struct {
	Epoch      uint64          `json:"epoch"`
	Time       time.Time       `json:"time"`
	Covered    bool            `json:"covered"`      // there are no faults
	Faults     []string        `json:"faults"`       // what should be covered and is not
	Excluded   int             `json:"excluded"`     // how many volumes a rule keeps filters off
	OutOfSight []string        `json:"out_of_sight"` // sentences: where there may be volumes that are not known
	Columns    []Column        `json:"columns"`      // what is farthest from the volumes first
	Volumes    []CoveredVolume `json:"volumes"`
	Gaps       []Gap           `json:"gaps"`         // the oldest first
	Dropped    uint64          `json:"gaps_dropped"` // older gaps on volumes that had left, which are not kept any more
}

// Column is one instance that a filter has on each volume.
type Column struct {
	Filter   string        `json:"filter"`
	Instance string        `json:"instance"`
	Altitude weir.Altitude `json:"altitude"`
	Frame    int           `json:"frame"`
}

// CoveredVolume is one row.
type CoveredVolume struct {
	Volume weir.VolumeID `json:"volume"`
	Name   string        `json:"volume_name"`
	Source string        `json:"source"`
	FSType string        `json:"fs_type"`
	Pseudo bool          `json:"pseudo"`
	Cells  []Cell        `json:"cells"` // one for each column
}

// Cell is one instance on one volume.
type Cell struct {
	State string `json:"state"` // attached, held, local only, scan only, scan overdue, blind, out of reach, pending, setting up, failed, declined, excluded, detached, removed, draining, none
	Why   string `json:"why,omitempty"`
	Fault bool   `json:"fault,omitempty"`

	Since time.Time `json:"since,omitzero"` // of one that a rule has excluded: when that was found

	idle    bool // it asks for nothing, and so sees nothing
	nothing bool // somewhere it does nothing
}

// Gap is an interval in which a filter did not cover a volume.
type Gap struct {
	ID       uint64        `json:"id"`
	Volume   weir.VolumeID `json:"volume,omitempty"` // its number now, if it is there
	Name     string        `json:"volume_name"`      // where it is mounted, or was, or else its source
	Source   string        `json:"source"`
	Filter   string        `json:"filter"`
	From     time.Time     `json:"from,omitzero"` // zero if that is not known
	To       time.Time     `json:"to,omitzero"`
	Cause    string        `json:"cause"`
	ClosedBy string        `json:"closed_by,omitempty"` // the scan that has looked at what the gap hid
	Fault    bool          `json:"fault,omitempty"`     // it is open, and the volume is there
}

func (s *Server) coverage(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	gaps, dropped, session := s.options.Engine.Gaps()
	c := coverageOf(s.options.Engine.Snapshot(), gaps, session, time.Now())
	c.Dropped, c.OutOfSight = dropped, s.outOfSight()
	return c, nil
}

func coverageOf(s manager.Snapshot, gaps []ledger.Gap, session uint64, now time.Time) Coverage {
	c := Coverage{Epoch: s.Epoch, Time: now, Faults: []string{}, Columns: columnsOf(s), Volumes: []CoveredVolume{}, Gaps: []Gap{}}
	if !s.Complete {
		c.Faults = append(c.Faults, "not all volumes are known: "+cmp.Or(s.Missed, "they are being listed"))
	}
	for _, name := range s.Missing {
		c.Faults = append(c.Faults, fmt.Sprintf("filter %s is not loaded", name))
	}
	slots := slotsOf(s)
	for _, v := range s.Volumes {
		if v.Excluded.Why != "" {
			c.Excluded++
		}
		row := CoveredVolume{
			Volume: v.Info.ID, Name: nameOf(&v), Source: quoted(v.Info.Source), FSType: quoted(v.Info.Identity.FSType), Pseudo: v.Info.Pseudo,
		}
		for _, column := range c.Columns {
			cell := cellOf(s, v, slots[v.Info.ID], column)
			if cell.Fault {
				c.Faults = append(c.Faults, fmt.Sprintf("volume %d (%s): %s is %s", v.Info.ID, row.Name, column, cell))
			}
			row.Cells = append(row.Cells, cell)
		}
		c.Volumes = append(c.Volumes, row)
	}
	for _, g := range gaps {
		gap := gapOf(s, g, session)
		if gap.Fault {
			c.Faults = append(c.Faults, fmt.Sprintf("volume %d (%s): gap %d of filter %s is open: %s", gap.Volume, gap.Name, gap.ID, gap.Filter, gap.Cause))
		}
		c.Gaps = append(c.Gaps, gap)
	}
	c.Covered = len(c.Faults) == 0
	return c
}

// String names the instance.
func (c Column) String() string {
	if c.Instance == c.Filter {
		return c.Filter
	}
	return c.Filter + "/" + c.Instance
}

// String is the state with the reason for it.
func (c Cell) String() string {
	if c.Why == "" {
		return c.State
	}
	return c.State + ": " + c.Reason()
}

// Reason is why the state is so, and since when, if that is known.
func (c Cell) Reason() string {
	if c.Since.IsZero() {
		return c.Why
	}
	return c.Why + ", since " + c.Since.Local().Format(time.DateTime)
}

// columnsOf lists the instances that there are somewhere.
func columnsOf(s manager.Snapshot) []Column {
	list := []Column{}
	for _, slot := range s.Slots {
		c := Column{slot.Filter, slot.Instance, slot.Altitude, int(slot.Frame)}
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Column) int {
		return cmp.Or(b.Altitude.Compare(a.Altitude), cmp.Compare(a.String(), b.String()))
	})
	return list
}

// slotsOf returns the slots of each volume.
func slotsOf(s manager.Snapshot) map[weir.VolumeID][]manager.SlotSnapshot {
	of := map[weir.VolumeID][]manager.SlotSnapshot{}
	for _, slot := range s.Slots {
		of[slot.Volume] = append(of[slot.Volume], slot)
	}
	return of
}

// cellOf describes one instance on a volume, which has these slots.
func cellOf(s manager.Snapshot, v manager.VolumeSnapshot, slots []manager.SlotSnapshot, c Column) Cell {
	i := slices.IndexFunc(slots, func(slot manager.SlotSnapshot) bool { return slot.Filter == c.Filter && slot.Instance == c.Instance })
	if i < 0 {
		return Cell{State: "none"}
	}
	cell := stateOf(s, v, slots[i])
	if slots[i].State == topology.SlotDetached {
		cell.Why = "by " + slots[i].By
	}
	return cell
}

// stateOf says in one word how it is with an instance on a volume, and why.
func stateOf(s manager.Snapshot, v manager.VolumeSnapshot, slot manager.SlotSnapshot) Cell {
	filter := s.Filter(slot.Filter)
	if slot.Declines() {
		slot.State, slot.Why = topology.SlotDeclined, slot.Declined
	}
	cell := Cell{State: slot.State.String(), Why: whyOf(slot)}
	link := linkOf(v, slot.Frame)
	switch slot.State {
	case topology.SlotAttached:
		cell = seenAs(v.Info, link, slot.Idle, filter != nil && filter.Scans).with(slot.Remarks)
	case topology.SlotPending:
		if v.Info.OutOfReach && link.State == topology.LinkFailed {
			return Cell{State: outOfReach, Why: v.Info.SightReason}
		}
		cell.Why, cell.Fault = waitsFor(link), true
	case topology.SlotSettingUp:
		cell.Why, cell.Fault = "the filter has not answered yet", true
	case topology.SlotFailed, topology.SlotRemoved:
		cell.Fault = true
	case topology.SlotDetached:
		cell.Fault = slot.By != topology.ByDefinition
	case topology.SlotExcluded:
		if slot.Why == v.Excluded.Why {
			cell.Since = v.Excluded.Since
		}
	}
	cell.Fault = cell.Fault && !v.Leaving && !s.Stopping && (filter == nil || !filter.Stopping && filter.Asks())
	return cell
}

// waitsFor says what keeps an instance from being set up.
func waitsFor(link manager.LinkSnapshot) string {
	switch {
	case link.Why != "":
		return "the volume cannot be observed: " + link.Why
	case link.State == topology.LinkIdle:
		return "the filter has not been asked yet"
	}
	return "the volume is not observed yet: that has begun, and it has not answered"
}

// The words for an instance that is attached and of which the kernel tells nothing: its filter looks at intervals, or does
// not look at all.
const (
	scanOnly = "scan only"
	blind    = "blind"
)

// outOfReach is the word for an instance that is owed on a volume that nobody can observe as it is mounted now.
const outOfReach = "out of reach"

// seenAs says how much an instance sees that is attached, of a filter that scans or does not.
func seenAs(info weir.VolumeInfo, link manager.LinkSnapshot, idle, scans bool) Cell {
	why := cmp.Or(link.Why, info.SightReason)
	if link.State == topology.LinkUnsupported && info.Sight == weir.SightScan {
		why = cmp.Or(info.SightReason, link.Why) // what has been found out of the file system, and not of one try
	}
	switch {
	case idle:
		return Cell{State: "attached", Why: "it asks for nothing now", idle: true}
	case link.State != topology.LinkAttached && scans:
		return Cell{State: scanOnly, Why: why}
	case link.State != topology.LinkAttached:
		return Cell{State: blind, Why: "it does not scan, and is told of nothing: " + why, Fault: true}
	case info.Sight == weir.SightLocal:
		return Cell{State: "local only", Why: info.SightReason}
	}
	return Cell{State: "attached"}
}

// held is the word for an instance that is attached and waits for somebody to decide what it shall do.
const held = "held"

// overdue is the word for an instance that has to look at intervals, and has not done so in time.
const overdue = "scan overdue"

// with adds what a filter says of an instance that is attached.
func (c Cell) with(remarks []weir.Remark) Cell {
	for _, r := range remarks {
		text := weir.QuotePath(r.Path) + ": " + r.Why
		if r.Todo != "" {
			text += "; " + r.Todo
		}
		if c.nothing = true; c.Why != "" {
			text = c.Why + "; " + text
		}
		switch c.Why = text; {
		case r.Held:
			c.State, c.Fault = held, true
		case !r.Overdue.IsZero() && c.State != held:
			c.State, c.Fault = overdue, true
		}
	}
	return c
}

func linkOf(v manager.VolumeSnapshot, frame topology.FrameID) manager.LinkSnapshot {
	for _, l := range v.Links {
		if l.Frame == frame {
			return l
		}
	}
	return manager.LinkSnapshot{}
}

// gapOf looks which volume a gap is on. It is a fault if that is there and the filter should cover it.
func gapOf(s manager.Snapshot, g ledger.Gap, session uint64) Gap {
	gap := Gap{ID: g.ID, Name: cmp.Or(g.Point, g.Source), Source: g.Source, Filter: g.Filter, From: g.From, To: g.Ended(), Cause: g.Cause, ClosedBy: g.ClosedBy}
	for _, v := range s.Volumes {
		if !g.On(session, v.Info) {
			continue
		}
		gap.Volume, gap.Name = v.Info.ID, nameOf(&v)
		gap.Fault = gap.Fault || g.Open() && !v.Leaving && shouldCover(s, g.Filter, v.Info.ID)
	}
	return gap
}

// shouldCover tells whether a volume, of which the filter has missed something, is still the filter's business. One that is
// not loaded and should be cannot say that it is not.
func shouldCover(s manager.Snapshot, filter string, volume weir.VolumeID) bool {
	slot := s.Slot(filter, volume)
	if slot == nil {
		return slices.Contains(s.Missing, filter)
	}
	return !slot.Declines() && slot.State != topology.SlotExcluded
}
