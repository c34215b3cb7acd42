package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weirfs/weir"
)

// holds keeps count of what keeps an instance from its end besides operations: holds, and operations that it issues.
type holds struct {
	mu     sync.Mutex
	owners map[string]int
	issued int
	count  int           // of both
	closed bool          // no more holds
	ended  bool          // no more operations either
	idle   chan struct{} // closed when closed and nothing is held
}

func (s *holds) enter(owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.owners == nil {
		s.owners = map[string]int{}
	}
	s.owners[owner]++
	s.count++
	return true
}

func (s *holds) leave(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners[owner]--; s.owners[owner] == 0 {
		delete(s.owners, owner)
	}
	s.count--
	s.noteIdleLocked()
}

func (s *holds) issue(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended && n > 0 {
		return false
	}
	s.issued += n
	s.count += n
	s.noteIdleLocked()
	return true
}

func (s *holds) noteIdleLocked() {
	if s.ended && s.count == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// close lets nobody hold the instance any more; end also stops it from issuing operations, and returns what is closed
// when nothing is left.
func (s *holds) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *holds) end() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.ended = true, true
	idle := make(chan struct{})
	s.idle = idle
	s.noteIdleLocked()
	return idle
}

// keepers names what is held.
func (s *holds) keepers() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for owner, n := range s.owners {
		list = append(list, fmt.Sprintf("held by %s%s", owner, times(n)))
	}
	slices.Sort(list)
	if s.issued > 0 {
		list = append(list, fmt.Sprintf("it has issued %d operations that have not ended", s.issued))
	}
	return list
}

func times(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d times)", n)
}

// Hold implements weir.Host.
func (h host) Hold(owner string) (release func(), err error) {
	if !h.holds.enter(owner) {
		return nil, absent("hold instance", errEnded)
	}
	return sync.OnceFunc(func() { h.holds.leave(owner) }), nil
}

// Issue implements weir.Host.
func (h host) Issue(ctx context.Context, p *weir.Parameters) (weir.Result, error) {
	lower := h.stack.interception()
	if lower == nil {
		return weir.Result{}, &weir.Error{
			Op: "issue operation", Kind: weir.KindUnsupported, Err: fmt.Errorf("nothing intercepts operations on volume %d", h.volume),
		}
	}
	if !h.holds.issue(1) {
		return weir.Result{}, absent("issue operation", errEnded)
	}
	defer h.holds.issue(-1)
	own := *p
	own.Volume = h.volume
	return h.stack.pool.do(ctx, &own, h.stack.below(h.altitude), lower), nil
}
