package control

import (
	"cmp"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// Cell is one instance on one volume.
type Cell struct {
	State string `json:"state"` // a word; openapi.yaml lists them as CellState
	Why   string `json:"why,omitempty"`
	Fault bool   `json:"fault,omitempty"`

	Since time.Time `json:"since,omitzero"` // of one that a rule has excluded: when that was found

	idle    bool // it asks for nothing, and so sees nothing
	nothing bool // somewhere it does nothing
}

// The words for cells of which the state of a slot tells too little.
const (
	held       = "held"         // it is attached, and waits for somebody to decide what it shall do
	scanOnly   = "scan only"    // it is attached, the kernel tells of nothing, and its filter looks at intervals
	overdue    = "scan overdue" // it has to look at intervals, and has not done so in time
	blind      = "blind"        // it is attached, the kernel tells of nothing, and its filter does not look
	outOfReach = "out of reach" // it is owed on a volume that nobody can observe as it is mounted now
)

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
	cell := Cell{State: slot.State.String(), Why: slot.Why}
	link := linkOf(v, slot.Frame)
	switch slot.State {
	case topology.SlotAttached:
		cell = seenAs(v.Info, link, slot.Idle, filter != nil && filter.Scans).with(slot.Remarks)
	case topology.SlotPending:
		if link.OutOfReach != "" {
			return Cell{State: outOfReach, Why: link.OutOfReach}
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

// seenAs says how much an instance sees that is attached, of a filter that scans or does not.
func seenAs(info weir.VolumeInfo, link manager.LinkSnapshot, idle, scans bool) Cell {
	why := cmp.Or(link.Why, info.SightReason)
	if link.State == topology.LinkUnsupported && info.Sight == weir.SightScan {
		why = cmp.Or(info.SightReason, link.Why) // what has been found out of the file system, and not of one try
	}
	switch {
	case idle && link.State == topology.LinkUnsupported:
		asked := seenAs(info, link, false, scans)
		return Cell{State: "attached", Why: "it asks for nothing now; if it did, it would be " + asked.String(), idle: true}
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
