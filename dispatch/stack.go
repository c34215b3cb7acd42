package dispatch

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/weirfs/weir"
)

// Stack is the instances of one frame on one volume. It is the sink and the gate of that frame there, and outlives both.
// Operations take the list as it is when they begin; whoever changes it sees to it that nobody else does.
type Stack struct {
	pool  *Pool
	list  atomic.Pointer[list]
	lower atomic.Pointer[weir.Interception]
}

// list is instances from high to low altitude. It is never changed.
type list struct {
	all          []*Instance
	intercepting []*Instance
}

// NewStack makes an empty stack.
func NewStack(pool *Pool) *Stack {
	s := &Stack{pool: pool}
	s.list.Store(new(list))
	return s
}

// Add puts an instance into the stack: from now on completed operations wait for it, and those that are intercepted pass
// it once it is open.
func (s *Stack) Add(in *Instance) { s.store(append(slices.Clone(s.list.Load().all), in)) }

// Remove takes an instance out. An operation that has taken the list before may still reach it.
func (s *Stack) Remove(in *Instance) {
	s.store(slices.DeleteFunc(slices.Clone(s.list.Load().all), func(other *Instance) bool { return other == in }))
}

func (s *Stack) store(all []*Instance) {
	slices.SortFunc(all, func(a, b *Instance) int { return b.altitude.Compare(a.altitude) })
	next := &list{all: all}
	for _, in := range all {
		if in.before|in.after != 0 {
			next.intercepting = append(next.intercepting, in)
		}
	}
	s.list.Store(next)
}

// below returns the intercepting instances below an altitude.
func (s *Stack) below(altitude weir.Altitude) []*Instance {
	all := s.list.Load().intercepting
	for i, in := range all {
		if in.altitude.Compare(altitude) < 0 {
			return all[i:]
		}
	}
	return nil
}

// SetInterception says what carries out operations below the stack; nil if nothing does.
func (s *Stack) SetInterception(held weir.Interception) {
	if held == nil {
		s.lower.Store(nil)
		return
	}
	s.lower.Store(&held)
}

func (s *Stack) interception() weir.Interception {
	if held := s.lower.Load(); held != nil {
		return *held
	}
	return nil
}

// Deliver implements weir.Sink: completed operations pass the stack from low to high.
func (s *Stack) Deliver(ops []weir.Operation) {
	for _, in := range slices.Backward(s.list.Load().all) {
		in.inbox.deliver(ops)
	}
}

// Lost implements weir.Sink.
func (s *Stack) Lost(reason string) {
	for _, in := range slices.Backward(s.list.Load().all) {
		in.inbox.lose(reason)
	}
}

// Do implements weir.Gate.
func (s *Stack) Do(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
	path := s.list.Load().intercepting
	if len(path) == 0 {
		return lower.Do(ctx, p)
	}
	return s.pool.do(ctx, p, path, lower)
}

// FileGone implements weir.Gate.
func (s *Stack) FileGone(object weir.Handle) {
	s.drop(weir.ContextKey{Kind: weir.ContextFile, File: object})
}

// OpenGone implements weir.Gate.
func (s *Stack) OpenGone(open weir.OpenID) {
	s.drop(weir.ContextKey{Kind: weir.ContextOpen, Open: open})
}

func (s *Stack) drop(key weir.ContextKey) {
	for _, in := range s.list.Load().all {
		in.contexts.drop(key)
	}
}
