package control

import (
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
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
