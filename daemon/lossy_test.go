package daemon

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// lossyPlane drops half of the operations, and says so some time later.
type lossyPlane struct {
	weir.Plane
	seed uint64
}

func (p lossyPlane) Attach(ctx context.Context, volume weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	l := &lossySink{Sink: sink, random: rand.New(rand.NewPCG(p.seed, uint64(volume.ID())))}
	a, err := p.Plane.Attach(ctx, volume, wants, l)
	if err != nil {
		return nil, err
	}
	return lossyAttachment{a, l}, nil
}

type lossyAttachment struct {
	weir.Attachment
	sink *lossySink
}

func (a lossyAttachment) Detach() error {
	err := a.Attachment.Detach()
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	a.sink.detached = true
	return err
}

// lossySink delivers what is left. The lock makes the news of a loss wait for a delivery, as the contract says.
type lossySink struct {
	weir.Sink

	mu       sync.Mutex
	random   *rand.Rand
	owed     bool // the news of a loss
	detached bool
}

func (s *lossySink) Deliver(operations []weir.Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []weir.Operation
	for _, op := range operations {
		if s.random.IntN(2) == 0 {
			kept = append(kept, op)
		}
	}
	if len(kept) < len(operations) && !s.owed {
		s.owed = true
		time.AfterFunc(time.Duration(10+s.random.IntN(90))*time.Millisecond, s.tell)
	}
	if len(kept) > 0 {
		s.Sink.Deliver(kept)
	}
}

func (s *lossySink) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = false
	if !s.detached {
		s.Sink.Lost("a test has dropped half of the events")
	}
}

func (s *lossySink) Lost(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Sink.Lost(reason)
}
