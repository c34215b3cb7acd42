package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestInstanceIsTakenAndGivenBack detaches and attaches the replicator, at once and after a moment, and writes while it is
// away: what it could not see is found each time.
func TestInstanceIsTakenAndGivenBack(t *testing.T) {
	s := newScene(t, "ext4", "tmpfs", false)
	s.begin()
	s.alike()
	volume := s.volumeAt(s.src)
	moment := func() { time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond) }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range 60 {
		for range 1 + rand.IntN(2) {
			ok(t, s.m.manager.Detach(ctx, "replicate", "", volume, "test"))
			moment()
			if n%2 == 0 {
				write(t, s.in(fmt.Sprint("away", n)), "x")
			}
			ok(t, s.m.manager.Attach("replicate", "", volume))
			moment()
		}
		write(t, s.in(fmt.Sprint("back", n)), "x")
		s.awaitText(s.at(fmt.Sprint("back", n)), "x")
	}
	s.alike()
	s.end()
}
