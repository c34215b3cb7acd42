package dispatch

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
)

// Slow is one call of a filter that was among the slowest.
type Slow struct {
	Callback  string        `json:"callback"` // Pre, Post or Completed
	Operation weir.Ops      `json:"operation"`
	Count     int           `json:"count"`           // operations that it was about; Operation is what was done by all of them
	Entry     string        `json:"entry,omitempty"` // the name that it was about, in its directory, if it was about one
	Volume    weir.VolumeID `json:"volume"`
	Took      time.Duration `json:"took"` // nanoseconds
	Began     time.Time     `json:"began"`
}

// slowest is how many calls are kept of an instance, and of a filter.
const slowest = 5

// slows keeps the slowest calls. It allocates nothing.
type slows struct {
	floor atomic.Int64 // of how long each of them took; what does not take longer needs no lock

	mu   sync.Mutex
	list [slowest]Slow // the slowest first
}

// among tells whether a call that took so long may be one of them.
func (s *slows) among(took time.Duration) bool { return int64(took) > s.floor.Load() }

// note keeps a call, if it is one of them.
func (s *slows) note(call Slow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].Took < call.Took {
			call, s.list[i] = s.list[i], call
		}
	}
	s.floor.Store(int64(s.list[slowest-1].Took))
}

// noteDelivery keeps a call with completed operations, if it is one of them.
func (s *slows) noteDelivery(operations []weir.Operation, began time.Time, took time.Duration) {
	if !s.among(took) {
		return
	}
	call := Slow{Callback: completedCallback, Count: len(operations), Took: took, Began: began}
	for i := range operations {
		call.Operation |= operations[i].Ops
	}
	if len(operations) == 1 {
		call.Entry = operations[0].Name
	}
	s.note(call)
}

// calls returns those that have been kept, the slowest first, which were about a volume.
func (s *slows) calls(volume weir.VolumeID) (list []Slow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.list {
		if call.Took > 0 {
			call.Volume = volume
			list = append(list, call)
		}
	}
	return list
}

// cutSlowest leaves the slowest of what has been put together.
func (s *Stats) cutSlowest() {
	slices.SortStableFunc(s.Slowest, func(a, b Slow) int { return cmp.Compare(b.Took, a.Took) })
	s.Slowest = s.Slowest[:min(len(s.Slowest), slowest)]
}
