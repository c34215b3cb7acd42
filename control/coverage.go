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

// Gap is an interval in which a filter did not cover a volume.
type Gap struct {
	ID       uint64        `json:"id"`
	Volume   weir.VolumeID `json:"volume,omitempty"` // its number now, if it is there
	Name     string        `json:"volume_name"`      // where it is mounted, or was, or else its source, or words for a mount of which nothing is known
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
	c := coverageOf(s.options.Engine.Snapshot(), gaps, session, time.Now(), s.options.Engine.Troubles()...)
	c.Dropped, c.OutOfSight = dropped, s.outOfSight()
	return c, nil
}

func coverageOf(s manager.Snapshot, gaps []ledger.Gap, session uint64, now time.Time, troubles ...string) Coverage {
	c := Coverage{Epoch: s.Epoch, Time: now, Faults: []string{}, Columns: columnsOf(s), Volumes: []CoveredVolume{}, Gaps: []Gap{}}
	c.Faults = append(c.Faults, troubles...)
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

// nobodys names what was missed on a mount of which nothing is known.
const nobodys = "a mount that nobody could look at"

// gapOf looks which volume a gap is on. It is a fault if that is there and the filter should cover it.
func gapOf(s manager.Snapshot, g ledger.Gap, session uint64) Gap {
	source := g.Source
	if source == weir.QuotePath("") { // as the ledger has it of a mount that was gone before anybody could look at it
		source = ""
	}
	gap := Gap{ID: g.ID, Name: cmp.Or(g.Point, source, nobodys), Source: source, Filter: g.Filter, From: g.From, To: g.Ended(), Cause: g.Cause, ClosedBy: g.ClosedBy}
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
