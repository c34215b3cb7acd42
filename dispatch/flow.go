package dispatch

import (
	"math/bits"
	"time"
)

// Flow counts operations. In every state of an instance Owed = Posts + Drained + those that are below it now.
type Flow struct {
	Operations uint64 `json:"operations"` // that entered the instance
	Owed       uint64 `json:"owed"`       // of them, those that were to have their Post
	Posts      uint64 `json:"posts"`
	Drained    uint64 `json:"drained"` // those whose Post came early, because the instance ended
}

func (f *Flow) add(g Flow) {
	f.Operations += g.Operations
	f.Owed += g.Owed
	f.Posts += g.Posts
	f.Drained += g.Drained
}

// callback is one that is timed.
type callback uint8

const (
	preCallback callback = iota
	postCallback
	callbacks
)

// String returns "Pre" or "Post".
func (c callback) String() string { return [...]string{"Pre", "Post"}[c] }

// Histogram counts durations: bucket i holds those below 2^i nanoseconds that are in no lower one, and the last one all
// that are longer.
type Histogram [36]uint64

func (h *Histogram) add(d time.Duration) { h[min(bits.Len64(uint64(max(d, 0))), len(h)-1)]++ }

func (h *Histogram) merge(g *Histogram) {
	for i, n := range g {
		h[i] += n
	}
}

// Count returns how many durations have been counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Below returns a power of two, in nanoseconds, that the given share of the durations, from 0 to 1, is below; 0 if there
// are none.
func (h *Histogram) Below(share float64) time.Duration {
	left := share * float64(h.Count())
	for i, n := range h {
		if left -= float64(n); n > 0 && left <= 0 {
			return 1 << i
		}
	}
	return 0
}

// Stats is what an instance, or all instances of a filter, have seen. The times of Pre and Post are those of one operation
// in sixteen, and without the time in which an operation was pended; Slowest knows no others either.
type Stats struct {
	Flow
	Inside    int       `json:"inside"`    // operations that are in the instance, or below and to come back to it
	Failures  uint64    `json:"failures"`  // operations that failed because the filter did not do what it should, and panics
	Refused   uint64    `json:"refused"`   // operations that failed because the filter had no room for them
	Unseen    uint64    `json:"unseen"`    // operations that passed without its look, for the same reason
	Completed uint64    `json:"completed"` // completed operations that were delivered
	Pre       Histogram `json:"pre"`
	Post      Histogram `json:"post"`
	Delivery  Histogram `json:"delivery"`          // of completed operations, many at a time
	Slowest   []Slow    `json:"slowest,omitempty"` // of all the calls that are timed, the slowest first
}

// Add adds what another instance has seen.
func (s *Stats) Add(t Stats) {
	s.Flow.add(t.Flow)
	s.Inside += t.Inside
	s.Failures += t.Failures
	s.Refused += t.Refused
	s.Unseen += t.Unseen
	s.Completed += t.Completed
	s.Pre.merge(&t.Pre)
	s.Post.merge(&t.Post)
	s.Delivery.merge(&t.Delivery)
	s.Slowest = append(s.Slowest, t.Slowest...)
	s.cutSlowest()
}
