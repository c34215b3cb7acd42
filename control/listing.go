package control

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
)

// Instances is the answer to GET /v1/instances.
type Instances struct {
	Epoch     uint64     `json:"epoch"`
	Instances []Instance `json:"instances"`
}

// Instance is one instance of a filter on a volume, or the debt for it.
type Instance struct {
	ID       string        `json:"id"`
	Filter   string        `json:"filter"`
	Volume   weir.VolumeID `json:"volume"`
	Name     string        `json:"volume_name"` // where the volume is mounted, or else its source
	Pseudo   bool          `json:"pseudo"`      // the volume holds no data, such as proc
	Altitude weir.Altitude `json:"altitude"`
	Instance string        `json:"instance"`
	Default  bool          `json:"default"` // it is the one that a command means which names none
	Attach   weir.Attach   `json:"attach"`  // how it comes to volumes
	Frame    int           `json:"frame"`
	State    string        `json:"state"`         // the word that the matrix has for it
	Why      string        `json:"why,omitempty"` // why it is not attached, or sees less
	By       string        `json:"by,omitempty"`  // who has detached it
	Attempts int           `json:"attempts,omitempty"`
	Hung     bool          `json:"hung,omitempty"`
}

func (s *Server) instances(r *request) (any, error) {
	query, err := r.query("filter", "volume")
	if err != nil {
		return nil, err
	}
	snapshot := s.options.Engine.Snapshot()
	keep := func(manager.SlotSnapshot) bool { return true }
	if name, given := query["filter"]; given {
		if snapshot.Filter(name) == nil {
			return nil, noFilter(r.op, name)
		}
		keep = func(slot manager.SlotSnapshot) bool { return slot.Filter == name }
	}
	if text, given := query["volume"]; given {
		id, err := volumeID(r.op, text)
		if err != nil {
			return nil, err
		}
		if snapshotOf(snapshot, id) == nil {
			return nil, noVolume(r.op, text)
		}
		among := keep
		keep = func(slot manager.SlotSnapshot) bool { return slot.Volume == id && among(slot) }
	}
	return instancesOf(snapshot, keep), nil
}

func instancesOf(s manager.Snapshot, keep func(manager.SlotSnapshot) bool) Instances {
	list := Instances{Epoch: s.Epoch, Instances: []Instance{}}
	for _, slot := range s.Slots {
		if keep(slot) {
			list.Instances = append(list.Instances, instanceOf(s, slot))
		}
	}
	slices.SortStableFunc(list.Instances, func(a, b Instance) int {
		return cmp.Or(b.Altitude.Compare(a.Altitude), cmp.Compare(a.Volume, b.Volume))
	})
	return list
}

func instanceOf(s manager.Snapshot, slot manager.SlotSnapshot) Instance {
	v := snapshotOf(s, slot.Volume)
	cell := sightedAs(s, v, slot)
	return Instance{
		ID: idOf(slot), Filter: slot.Filter, Volume: slot.Volume, Name: nameOf(v), Pseudo: v != nil && v.Info.Pseudo, Altitude: slot.Altitude,
		Instance: slot.Instance, Default: isDefault(slot), Attach: slot.Attach, Frame: int(slot.Frame), State: cell.State, Why: cell.Why, By: slot.By,
		Attempts: slot.Attempts, Hung: slot.Hung,
	}
}

// isDefault tells whether a slot is of the instance that is meant where none is named: the first of its filter.
func isDefault(slot manager.SlotSnapshot) bool { return slot.Pair.Instance == 0 }

// sightedAs is stateOf on a volume that may have left.
func sightedAs(s manager.Snapshot, v *manager.VolumeSnapshot, slot manager.SlotSnapshot) Cell {
	if v == nil {
		return Cell{State: slot.State.String(), Why: slot.Why}
	}
	return stateOf(s, *v, slot)
}

// idOf names a slot for good: numbers of filters and of volumes are not used again.
func idOf(slot manager.SlotSnapshot) string {
	return fmt.Sprintf("%d.%d.%d", slot.Pair.Filter, slot.Pair.Instance, slot.Pair.Volume)
}

// nameOf returns what people call a volume, on one line.
func nameOf(v *manager.VolumeSnapshot) string {
	if v == nil {
		return ""
	}
	return NameOf(v.Info)
}

// NameOf returns what people call a volume, on one line: where it is mounted, or else what was mounted.
func NameOf(info weir.VolumeInfo) string {
	elsewhere := ""
	for _, m := range info.Mounts {
		switch {
		case m.Own && m.Point != "":
			return weir.QuotePath(m.Point)
		case elsewhere == "" && m.Point != "":
			elsewhere = weir.QuotePath(m.Point) + " [in another namespace]"
		}
	}
	return cmp.Or(elsewhere, quoted(info.Source))
}

func snapshotOf(s manager.Snapshot, id weir.VolumeID) *manager.VolumeSnapshot {
	for i := range s.Volumes {
		if s.Volumes[i].Info.ID == id {
			return &s.Volumes[i]
		}
	}
	return nil
}

func noFilter(op, name string) error {
	return &weir.Error{Op: op, Kind: weir.KindAbsent, Path: name, Err: errors.New("no filter of this name is loaded"), Hint: "weir filters lists them"}
}

func noVolume(op, id string) error {
	return &weir.Error{Op: op, Kind: weir.KindAbsent, Path: id, Err: errors.New("there is no volume of this number"), Hint: "weir volumes lists them"}
}

// Frames is the answer to GET /v1/frames.
type Frames struct {
	Epoch  uint64  `json:"epoch"`
	Frames []Frame `json:"frames"`
}

// Frame is the altitudes from Low up to, and without, High.
type Frame struct {
	ID      int           `json:"id"`
	Low     weir.Altitude `json:"low"`
	High    weir.Altitude `json:"high,omitzero"` // where a layer is; the highest frame has no end
	Filters []string      `json:"filters"`
	Links   []Link        `json:"links"` // by volume
}

// Link is one frame on one volume.
type Link struct {
	Frame  int           `json:"frame"`
	Volume weir.VolumeID `json:"volume"`
	State  string        `json:"state"`
	Why    string        `json:"why,omitempty"`
	Plane  string        `json:"plane,omitempty"` // while it is attached
}

func (s *Server) frames(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	return framesOf(s.options.Engine.Snapshot()), nil
}

func framesOf(s manager.Snapshot) Frames {
	list := Frames{Epoch: s.Epoch, Frames: []Frame{}}
	loaded := filtersOf(s, nil).Filters
	for _, f := range slices.Backward(s.Frames) {
		frame := Frame{ID: int(f.ID), Low: f.Low, High: f.High, Filters: []string{}, Links: []Link{}}
		for _, filter := range loaded {
			if filter.Frame == frame.ID {
				frame.Filters = append(frame.Filters, filter.Name)
			}
		}
		for _, v := range s.Volumes {
			for _, l := range linksOf(v) {
				if l.Frame == frame.ID {
					frame.Links = append(frame.Links, l)
				}
			}
		}
		list.Frames = append(list.Frames, frame)
	}
	return list
}

func linksOf(v manager.VolumeSnapshot) []Link {
	list := []Link{}
	for _, l := range v.Links {
		link := Link{int(l.Frame), v.Info.ID, l.State.String(), l.Why, l.Plane}
		if l.OutOfReach != "" {
			link.State, link.Why = outOfReach, l.OutOfReach
		}
		list = append(list, link)
	}
	return list
}
