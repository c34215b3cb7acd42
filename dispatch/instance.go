package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
)

// Site is where an instance is to be, and with what.
type Site struct {
	Filter     *weir.Filter
	Definition weir.Definition
	Volume     weir.VolumeID
	Stack      *Stack

	// Shared are the contexts that the filter's instances on the volume have in common.
	Shared *Contexts

	// Twin returns the filter's instance at the same altitude on another volume, or nil.
	Twin func(weir.VolumeID) *Instance

	// Want changes what the instance is told of.
	Want func(ctx context.Context, in *Instance, wants weir.Ops) error

	// Missed and Scanned tell the ledger what the instance's filter has not seen, and that it has looked for it.
	Missed  func(since time.Time, cause string) error
	Scanned func(began time.Time, by string) error

	// Inbox is how many completed operations may wait.
	Inbox int

	Logger *slog.Logger
}

// skips are the classes of operations that an instance does not hear of.
type skips struct {
	classes weir.Skips
	self    int // weir's own process
}

// hold tells whether an operation is in one of them.
func (s skips) hold(dir bool, pid int) bool {
	return s.classes != 0 && s.classes.Holds(dir, pid == s.self)
}

// Instance is one instance of a filter on one volume, from before its Setup to after its Teardown.
type Instance struct {
	label         string // "filter NAME on volume 1", with the definition's name where it is another
	altitude      weir.Altitude
	before, after weir.Ops
	skips         skips
	kinds         []weir.ContextKind
	volume        weir.VolumeID
	stack         *Stack
	twin          func(weir.VolumeID) *Instance
	want          func(context.Context, *Instance, weir.Ops) error
	missed        func(time.Time, string) error
	scanned       func(time.Time, string) error
	logger        *slog.Logger

	// callback and interceptor are set when the lanes open, and not changed after that.
	callback    weir.Instance
	interceptor weir.Interceptor // nil if the filter intercepts nothing

	inbox    inbox
	slow     slows
	lanes    []lane                 // none if the filter intercepts nothing
	busy     atomic.Int32           // lanes that are not idle
	idle     chan struct{}          // closed when none is busy
	step     atomic.Pointer[string] // the callback of the teardown that runs, if one does
	failures atomic.Uint64
	refused  atomic.Uint64 // operations that failed for want of room
	unseen   atomic.Uint64 // those that passed
	contexts *Contexts
	shared   *Contexts
	holds    holds
}

// NewInstance makes an instance. Operations pass it by until it is opened.
func NewInstance(s Site) *Instance {
	in := &Instance{
		label: fmt.Sprintf("filter %s on volume %d", s.Filter.Name, s.Volume), altitude: s.Definition.Altitude,
		before: s.Filter.Before, after: s.Filter.After, skips: skips{s.Filter.Skips, os.Getpid()}, kinds: s.Filter.Contexts, volume: s.Volume,
		stack: s.Stack, twin: s.Twin, logger: s.Logger, shared: s.Shared, idle: make(chan struct{}),
		want: s.Want, missed: s.Missed, scanned: s.Scanned, inbox: inbox{limit: s.Inbox},
	}
	in.inbox.fail, in.inbox.skips, in.inbox.slow = in.panicked, in.skips, &in.slow
	in.SetWants(s.Filter.Wants)
	if s.Definition.Name != s.Filter.Name {
		in.label = fmt.Sprintf("instance %s of %s", s.Definition.Name, in.label)
	}
	in.contexts = NewContexts(in.label, s.Logger)
	if s.Filter.Before|s.Filter.After != 0 {
		in.lanes = make([]lane, lanes)
	}
	in.busy.Store(int32(len(in.lanes)))
	return in
}

// panicked counts and logs a panic in a callback that no operation waits for.
func (in *Instance) panicked(callback string, p any) {
	if n := in.failures.Add(1); n&(n-1) == 0 {
		in.logger.Error("a callback has panicked", "instance", in.label, "callback", callback, "failures", n, "panic", p, "stack", string(debug.Stack()))
	}
}

// panicError is a panic in a callback that an operation waits for. The stack is for the log alone.
type panicError struct {
	callback string
	value    any
	stack    []byte
}

func newPanicError(callback string, value any) *panicError {
	return &panicError{callback, value, debug.Stack()}
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.callback, e.value) }

// Check tells whether a filter's instance can be called with all that the filter has asked for.
func Check(f *weir.Filter, callback weir.Instance) error {
	_, intercepts := callback.(weir.Interceptor)
	switch {
	case callback == nil:
		return fmt.Errorf("filter %s returned neither an instance nor an error", f.Name)
	case f.Before|f.After != 0 && !intercepts:
		return &weir.Error{
			Op: "set up", Kind: weir.KindRefused, Path: f.Name,
			Err:  fmt.Errorf("it asks for %s before or after they are carried out, and its instance has no Pre and Post", f.Before|f.After),
			Hint: "implement weir.Interceptor",
		}
	}
	return nil
}

// Open lets operations in. It calls nothing; Begin delivers what has come before.
func (in *Instance) Open(callback weir.Instance) {
	in.callback = callback
	in.interceptor, _ = callback.(weir.Interceptor)
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		if l.phase == shut {
			l.phase = open
		}
		l.mu.Unlock()
	}
}

// Wants returns the completed operations that the instance is told of.
func (in *Instance) Wants() weir.Ops { return weir.Ops(in.inbox.wants.Load()) }

// Demand returns what has to be wanted of a plane for that.
func (in *Instance) Demand() weir.Demand {
	return weir.Demand{Ops: in.Wants(), Skips: in.skips.classes}
}

// SetWants changes that. Operations that wait stay.
func (in *Instance) SetWants(wants weir.Ops) { in.inbox.wants.Store(uint32(wants)) }

// Begin delivers the completed operations that have come so far, and from now on those that come.
func (in *Instance) Begin() { in.inbox.open(in.callback) }

// Change tells the instance that its volume's mounts have changed.
func (in *Instance) Change() { in.inbox.change() }

// Lose tells the instance that operations were lost.
func (in *Instance) Lose(reason string) { in.inbox.lose(reason) }

// retarget returns how an operation goes on below the instance of the filter on another volume.
func (in *Instance) retarget(volume weir.VolumeID) ([]*Instance, weir.Lower, error) {
	if twin := in.twin(volume); twin != nil {
		if lower := twin.stack.interception(); lower != nil {
			return twin.stack.below(in.altitude), lower, nil
		}
	}
	return nil, nil, &weir.Error{
		Op: "retarget operation", Kind: weir.KindRefused,
		Err: fmt.Errorf("the filter has no instance at altitude %s on volume %d", in.altitude, volume),
	}
}

// noteIdleLocked says that a lane may have become idle, which it stays.
func (in *Instance) noteIdleLocked(l *lane) {
	if l.idleLocked() && in.busy.Add(-1) == 0 {
		close(in.idle)
	}
}

// Stats returns what the instance has seen so far.
func (in *Instance) Stats() (s Stats) {
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		s.Flow.add(l.flow)
		s.Inside += len(l.calls)
		s.Pre.merge(&l.times[preCallback])
		s.Post.merge(&l.times[postCallback])
		l.mu.Unlock()
	}
	in.inbox.measure(&s)
	s.Slowest = in.slow.calls(in.volume)
	s.Failures, s.Refused, s.Unseen = in.failures.Load(), in.refused.Load(), in.unseen.Load()
	return s
}

// host is an instance as its filter sees it.
type host struct{ *Instance }

// Host returns what the filter calls.
func (in *Instance) Host() weir.Host { return host{in} }

// Want implements weir.Host.
func (h host) Want(ctx context.Context, wants weir.Ops) error { return h.want(ctx, h.Instance, wants) }

// Missed implements weir.Host.
func (h host) Missed(since time.Time, cause string) error { return h.missed(since, cause) }

// Scanned implements weir.Host.
func (h host) Scanned(began time.Time, by string) error { return h.scanned(began, by) }

// NoRoom implements weir.Host.
func (h host) NoRoom(failed, passed uint64) {
	h.refused.Add(failed)
	h.unseen.Add(passed)
}

var errEnded = errors.New("the instance has ended")

func absent(op string, err error) error { return &weir.Error{Op: op, Kind: weir.KindAbsent, Err: err} }

// contextsOf returns where contexts of a kind are kept.
func (h host) contextsOf(key weir.ContextKey) (*Contexts, error) {
	switch {
	case !slices.Contains(h.kinds, key.Kind):
		return nil, &weir.Error{
			Op: "use context", Kind: weir.KindRefused, Err: fmt.Errorf("the filter has not registered %s contexts", key.Kind),
			Hint: "name the kind in Filter.Contexts",
		}
	case key.Kind == weir.ContextFile && key.File == "", key.Kind == weir.ContextOpen && key.Open == 0:
		return nil, &weir.Error{Op: "use context", Kind: weir.KindRefused, Err: fmt.Errorf("the key names no %s", key.Kind)}
	case key.Kind == weir.ContextVolume:
		return h.shared, nil
	}
	return h.contexts, nil
}

// gone tells whether the object of a key is no more.
func (h host) gone(key weir.ContextKey) bool {
	if key.Kind != weir.ContextFile && key.Kind != weir.ContextOpen {
		return false
	}
	interception := h.stack.interception()
	return interception == nil || !interception.Has(key)
}
