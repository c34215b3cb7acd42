package control

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
	"github.com/weirfs/weir/volume"
)

// Filters is the answer to GET /v1/filters. Like every listing it is of one epoch, and what is farthest from the volumes
// comes first.
type Filters struct {
	Epoch    uint64   `json:"epoch"`
	Filters  []Filter `json:"filters"`
	Loadable []string `json:"loadable"` // names of those that are compiled in and not loaded

	// Violations counts the rules that filters have broken, where somebody watches that.
	Violations []verify.Count `json:"violations"`
}

// Filter is one filter that is loaded.
type Filter struct {
	Name      string        `json:"name"`
	Instances int           `json:"instances"` // that are attached
	ScanOnly  int           `json:"scan_only"` // of them, those that are told of nothing and look at intervals
	Blind     int           `json:"blind"`     // of them, those that are told of nothing and do not look
	Altitude  weir.Altitude `json:"altitude"`
	Group     string        `json:"group"` // the load-order group of the altitude; empty if it is in none
	Frame     int           `json:"frame"`
	Wants     string        `json:"wants"`           // operations
	Skips     string        `json:"skips,omitempty"` // classes of operations that it leaves out
	Stopping  bool          `json:"stopping"`
	Stats     Stats         `json:"stats"`

	// Definitions are what it has on each volume, the default one first.
	Definitions []Definition `json:"definitions"`
}

// Definition is one instance that a filter has on each volume.
type Definition struct {
	Instance string        `json:"instance"`
	Altitude weir.Altitude `json:"altitude"`
	Attach   weir.Attach   `json:"attach"`
}

// Stats is what the instances of a filter have had to do since it was loaded. Times are nanoseconds, and powers of two, below
// which 99 of 100 calls have stayed; 0 if there was none.
type Stats struct {
	Completed  uint64        `json:"completed"`  // operations that were told when they had completed
	Operations uint64        `json:"operations"` // that passed through
	Inside     int           `json:"inside"`     // of them, those that are under way
	Failures   uint64        `json:"failures"`   // of them, those that failed because the filter did not do what it should
	Refused    uint64        `json:"refused"`    // that failed because the filter had no room for them
	Unseen     uint64        `json:"unseen"`     // that passed without its look, for the same reason
	Delivery   time.Duration `json:"delivery"`
	Pre        time.Duration `json:"pre"`
	Post       time.Duration `json:"post"`
	Slowest    []Slow        `json:"slowest"` // calls of the filter, the slowest first
}

// Slow is one of the slowest calls of a filter, of those that are timed: every one with completed operations, and every
// sixteenth of an operation that passes through.
type Slow struct {
	Callback  string        `json:"callback"`  // Pre, Post or Completed
	Operation weir.Ops      `json:"operation"` // what was done by all that it was about
	Count     int           `json:"count"`     // operations that it was about
	Entry     string        `json:"entry"`     // the name in its directory, if it was about one
	Volume    weir.VolumeID `json:"volume"`
	Took      time.Duration `json:"took"` // nanoseconds
	Began     time.Time     `json:"began"`
}

func statsOf(s *dispatch.Stats) Stats {
	const share = 0.99
	slowest := []Slow{}
	if s == nil {
		return Stats{Slowest: slowest}
	}
	for _, call := range s.Slowest {
		call.Entry = quoted(call.Entry)
		slowest = append(slowest, Slow(call))
	}
	return Stats{s.Completed, s.Operations, s.Inside, s.Failures, s.Refused, s.Unseen, s.Delivery.Below(share), s.Pre.Below(share), s.Post.Below(share), slowest}
}

func (s *Server) filters(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	return filtersOf(s.options.Engine.Snapshot(), s.options.Engine.Loadable()), nil
}

func filtersOf(s manager.Snapshot, known []string) Filters {
	list := Filters{Epoch: s.Epoch, Filters: []Filter{}, Loadable: []string{}, Violations: append([]verify.Count{}, s.Violations...)}
	volumes := map[weir.VolumeID]*manager.VolumeSnapshot{}
	for i := range s.Volumes {
		volumes[s.Volumes[i].Info.ID] = &s.Volumes[i]
	}
	for _, f := range s.Filters {
		one := Filter{Name: f.Name, Altitude: f.Altitude, Group: weir.GroupOf(f.Altitude), Frame: int(f.Frame), Wants: f.Wants, Skips: f.Skips, Stopping: f.Stopping, Stats: statsOf(f.Stats)}
		for _, d := range f.Definitions {
			one.Definitions = append(one.Definitions, Definition{d.Name, d.Altitude, d.Attach})
		}
		for _, slot := range s.Slots {
			if slot.Filter == f.Name && slot.State == topology.SlotAttached {
				one.count(sightedAs(s, volumes[slot.Volume], slot).State)
			}
		}
		list.Filters = append(list.Filters, one)
	}
	slices.SortStableFunc(list.Filters, func(a, b Filter) int { return b.Altitude.Compare(a.Altitude) })
	for _, name := range known {
		if s.Filter(name) == nil {
			list.Loadable = append(list.Loadable, name)
		}
	}
	return list
}

// count adds an attached instance.
func (f *Filter) count(state string) {
	f.Instances++
	switch state {
	case scanOnly, overdue:
		f.ScanOnly++
	case blind:
		f.Blind++
	}
}

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
	Attach   weir.Attach   `json:"attach"` // how it comes to volumes
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
		Instance: slot.Instance, Attach: slot.Attach, Frame: int(slot.Frame), State: cell.State, Why: cell.Why, By: slot.By,
		Attempts: slot.Attempts, Hung: slot.Hung,
	}
}

// sightedAs is stateOf on a volume that may have left.
func sightedAs(s manager.Snapshot, v *manager.VolumeSnapshot, slot manager.SlotSnapshot) Cell {
	if v == nil {
		return Cell{State: slot.State.String(), Why: whyOf(slot)}
	}
	return stateOf(s, *v, slot)
}

// idOf names a slot for good: numbers of filters and of volumes are not used again.
func idOf(slot manager.SlotSnapshot) string {
	return fmt.Sprintf("%d.%d.%d", slot.Pair.Filter, slot.Pair.Instance, slot.Pair.Volume)
}

// whyOf returns the reason for a state without the state: a filter that declines says that it does.
func whyOf(slot manager.SlotSnapshot) string {
	return strings.TrimPrefix(slot.Why, weir.ErrDecline.Error()+": ")
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
		list = append(list, Link{int(l.Frame), v.Info.ID, l.State.String(), l.Why, l.Plane})
	}
	return list
}

// Volumes is the answer to GET /v1/volumes, in the order in which they arrived.
type Volumes struct {
	Epoch uint64 `json:"epoch"`

	// Complete tells whether every volume that exists is known; Missed says why not, if events of mounts were lost.
	Complete bool   `json:"complete"`
	Missed   string `json:"missed,omitempty"`

	OutOfSight []string `json:"out_of_sight"` // sentences: where there may be volumes that are not known
	Volumes    []Volume `json:"volumes"`

	Detached []volume.Detached `json:"detached"` // that no mount shows any more and that live on, as they left
}

// Volume is one volume with the frames on it. Texts in Info are on the wire as weir.QuotePath makes them.
type Volume struct {
	Info    weir.VolumeInfo `json:"info"`
	Since   time.Time       `json:"since"`   // when weir learned of it
	Listed  bool            `json:"listed"`  // it was there already
	Leaving bool            `json:"leaving"` // its last mount is gone, and instances remain
	Links   []Link          `json:"links"`

	Excluded manager.Exclusion `json:"excluded,omitzero"` // what keeps filters off it
}

func (s *Server) volumes(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	snapshot := s.options.Engine.Snapshot()
	list := Volumes{Epoch: snapshot.Epoch, Complete: snapshot.Complete, Missed: snapshot.Missed, OutOfSight: s.outOfSight(), Volumes: []Volume{}, Detached: []volume.Detached{}}
	for _, d := range s.options.Engine.Detached() {
		d.Info = withTexts(d.Info, quoted)
		list.Detached = append(list.Detached, d)
	}
	for _, v := range snapshot.Volumes {
		info := withTexts(v.Info, quoted)
		list.Volumes = append(list.Volumes, Volume{info, v.Since, v.Listed, v.Leaving, linksOf(v), v.Excluded})
	}
	return list, nil
}

// outOfSight is never nil.
func (s *Server) outOfSight() []string { return append([]string{}, s.options.Engine.OutOfSight()...) }

// withTexts returns a copy of what is known of a volume, with change done to each text that somebody else has chosen.
func withTexts(info weir.VolumeInfo, change func(string) string) weir.VolumeInfo {
	info.Source, info.Label = change(info.Source), change(info.Label)
	info.Mounts, info.Was = slices.Clone(info.Mounts), slices.Clone(info.Was)
	if info.Mounts == nil {
		info.Mounts = []weir.Mount{}
	}
	for _, list := range [][]weir.Mount{info.Mounts, info.Was} {
		for i := range list {
			m := &list[i]
			m.Root, m.Point, m.Options = change(m.Root), change(m.Point), change(m.Options)
		}
	}
	return info
}
