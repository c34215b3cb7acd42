package verify

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// taken is a hold, a lease, or a reference to a context, and who has taken it.
type taken struct {
	rule, what string
	pcs        [16]uintptr
	depth      int
}

// take notes that the filter owns something from now on. It is called by a method that the filter calls.
func (in *instance) take(rule, what string, args ...any) *taken {
	t := &taken{rule: rule, what: fmt.Sprintf(what, args...)}
	t.depth = runtime.Callers(3, t.pcs[:])
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken[t] = true
	if rule == leakedHold {
		in.holds++
	}
	return t
}

// give notes that the filter owns it no more. It returns false if that was so before.
func (in *instance) give(t *taken) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.taken[t] {
		return false
	}
	delete(in.taken, t)
	if t.rule == leakedHold {
		in.holds--
	}
	return true
}

// stack lists the functions that have taken it, from the inmost, without those of weir's own machinery below.
func (t *taken) stack() string {
	var list []string
	frames := runtime.CallersFrames(t.pcs[:t.depth])
	for more := t.depth > 0; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if strings.Contains(frame.Function, "/verify.(*Verifier)") || strings.Contains(frame.Function, "/verify.(*in") {
			break
		}
		list = append(list, fmt.Sprintf("%s (%s:%d)", frame.Function[strings.LastIndexByte(frame.Function, '/')+1:], frame.File, frame.Line))
	}
	return strings.Join(list, ", from ")
}

func (t *taken) compare(other *taken) int {
	return cmp.Or(strings.Compare(t.what, other.what), slices.Compare(t.pcs[:], other.pcs[:]))
}

// host is what a filter that is watched has of the manager.
type host struct {
	weir.Host
	in *instance
}

// Hold implements weir.Host.
func (h *host) Hold(owner string) (release func(), err error) {
	h.use("Hold")
	free, err := h.Host.Hold(owner)
	if err != nil {
		return nil, err
	}
	t := h.in.take(leakedHold, "a hold of %s", owner)
	return sync.OnceFunc(func() {
		h.in.give(t)
		free()
	}), nil
}

// Want implements weir.Host.
func (h *host) Want(ctx context.Context, wants weir.Ops) error {
	h.use("Want")
	if withOperations() {
		h.in.report(wantInside, nil, "Want is called in a callback with operations")
	}
	return h.Host.Want(ctx, wants)
}

// Missed implements weir.Host.
func (h *host) Missed(since time.Time, cause string) error {
	h.use("Missed")
	h.checkTime("Missed", since)
	return h.Host.Missed(since, cause)
}

// Scanned implements weir.Host.
func (h *host) Scanned(began time.Time, by string) error {
	h.use("Scanned")
	h.checkTime("Scanned", began)
	return h.Host.Scanned(began, by)
}

// checkTime reports a time that nothing can have begun at.
func (h *host) checkTime(method string, at time.Time) {
	if at.IsZero() || at.After(time.Now()) {
		h.in.report(wrongTime, nil, "%s is called with a time that has not been: %v", method, at)
	}
}

// NoRoom implements weir.Host.
func (h *host) NoRoom(failed, passed uint64) {
	h.use("NoRoom")
	h.Host.NoRoom(failed, passed)
}

func (h *host) use(method string) { h.in.use(method) }

// use reports a call after the end. A callback that is left behind has begun before it.
func (in *instance) use(method string) {
	in.mu.Lock()
	late := in.phase == over && in.holds == 0 && in.running == 0
	in.mu.Unlock()
	if late {
		in.report(useAfterTeardown, nil, "%s is called after Teardown has returned", method)
	}
}

func (h *host) useContext(method string, key weir.ContextKey) {
	h.use(method)
	switch {
	case !slices.Contains(h.in.filter.Contexts, key.Kind):
		h.in.report(contextKind, nil, "%s is called for a context of kind %s, which the filter has not registered", method, key.Kind)
	case key.Kind == weir.ContextFile && key.File == "", key.Kind == weir.ContextOpen && key.Open == 0:
		h.in.report(contextKind, nil, "%s is called with a key that names no %s", method, key.Kind)
	}
}

// SetContext implements weir.Host.
func (h *host) SetContext(key weir.ContextKey, value any, how weir.SetContext) (weir.Context, bool, error) {
	h.useContext("SetContext", key)
	current, set, err := h.Host.SetContext(key, value, how)
	if err != nil {
		return nil, false, err
	}
	return &reference{current, h.in, h.in.take(leakedContext, "a reference to a context of kind %s", key.Kind)}, set, nil
}

// Context implements weir.Host.
func (h *host) Context(key weir.ContextKey) (weir.Context, error) {
	h.useContext("Context", key)
	current, err := h.Host.Context(key)
	if err != nil {
		return nil, err
	}
	return &reference{current, h.in, h.in.take(leakedContext, "a reference to a context of kind %s", key.Kind)}, nil
}

// DropContext implements weir.Host.
func (h *host) DropContext(key weir.ContextKey) {
	h.useContext("DropContext", key)
	h.Host.DropContext(key)
}

// Issue implements weir.Host.
func (h *host) Issue(ctx context.Context, p *weir.Parameters) (weir.Result, error) {
	h.use("Issue")
	return h.Host.Issue(onItsWay(inside(ctx, h.in)), p)
}

// reference is one reference to a context.
type reference struct {
	weir.Context
	in    *instance
	taken *taken
}

// Value implements weir.Context.
func (r *reference) Value() any {
	r.in.mu.Lock()
	released := !r.in.taken[r.taken]
	r.in.mu.Unlock()
	if released {
		r.in.report(useAfterRelease, nil, "Value is called of %s that was released", r.taken.what)
	}
	return r.Context.Value()
}

// Release implements weir.Context. A second one does not take somebody else's reference away.
func (r *reference) Release() {
	if !r.in.give(r.taken) {
		r.in.report(overRelease, nil, "%s is released a second time", r.taken.what)
		return
	}
	r.Context.Release()
}

// link is an instance inside whose callback, or by whose Issue, something is done.
type link struct {
	in    *instance
	outer *link
}

// linkKey is what a link is stored by in a context.
type linkKey struct{}

func inside(ctx context.Context, in *instance) context.Context {
	outer, _ := ctx.Value(linkKey{}).(*link)
	return context.WithValue(ctx, linkKey{}, &link{in, outer})
}

// checkRecursion reports an operation that an instance has begun, and that comes to it, or to one above.
func (in *instance) checkRecursion(ctx context.Context, c *call) {
	l, _ := ctx.Value(linkKey{}).(*link)
	for ; l != nil; l = l.outer {
		if l.in.volume == in.volume && in.altitude.Compare(l.in.altitude) >= 0 {
			l.in.report(recursion, c, "the operation was begun inside the instance, and comes to instance %s of filter %s", in.name, in.filter.Name)
			return
		}
	}
}
