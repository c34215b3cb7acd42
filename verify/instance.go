package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"weak"

	"github.com/weirfs/weir"
)

// phase is how far an instance is.
type phase uint8

const (
	settingUp phase = iota
	attached
	ending // Teardown runs
	over   // it has returned
)

// instance is an instance of a filter that is watched.
type instance struct {
	verifier *Verifier
	filter   *weir.Filter
	name     string
	altitude weir.Altitude
	volume   weir.VolumeID
	host     weir.Host // the manager's; nil in Concerns, before there is an instance

	mu      sync.Mutex
	inner   weir.Instance
	phase   phase
	running int             // callbacks, also Setup and Teardown
	taken   map[*taken]bool // holds, leases and references
	holds   int
	shown   weak.Pointer[weir.Operation] // the first of the slice that Completed has returned from
	pended  map[*call]bool
}

var (
	_ weir.TeardownQuerier = (*instance)(nil)
	_ weir.TeardownStarter = (*instance)(nil)
	_ weir.Interceptor     = (*intercepting)(nil)
)

// violation fills in who has done what. c may be nil.
func (in *instance) violation(rule string, c *call, what string, args ...any) Violation {
	found := Violation{Rule: rule, Filter: in.filter.Name, Instance: in.name, Volume: in.volume, What: fmt.Sprintf(what, args...)}
	if c != nil {
		found.Operation = c.operation
	}
	return found
}

func (in *instance) report(rule string, c *call, what string, args ...any) {
	in.verifier.report(in, in.violation(rule, c, what, args...))
}

func (in *instance) begin(inner weir.Instance) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.inner, in.phase = inner, attached
}

func (in *instance) is(inner weir.Instance) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.inner == inner && in.phase != over
}

// callback makes a call of the filter.
func (in *instance) callback(name string, c *call, make func()) {
	in.mu.Lock()
	inside := in.phase == attached
	in.mu.Unlock()
	if !inside {
		in.report(callbackOutside, c, "%s is called before Setup has returned, or after Teardown has begun", name)
	}
	in.run(func() {
		in.verifier.watch(in, in.verifier.options.Callback, in.violation(slowCallback, c, "%s", name), make)
	})
}

// run makes a call of the filter, and knows that it runs.
func (in *instance) run(call func()) {
	count := func(n int) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.running += n
	}
	count(1)
	defer count(-1)
	call()
}

// Completed implements weir.Instance. What the filter keeps of the slice is emptied.
func (in *instance) Completed(operations []weir.Operation) {
	in.checkOrder(in.verifier.deliveryOf(operations), nil, "Completed", true)
	shown := slices.Clone(operations)
	in.callback("Completed", nil, func() { in.inner.Completed(shown) })
	clear(shown)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.shownLocked(shown)
}

// Lost implements weir.Instance.
func (in *instance) Lost(reason string) { in.callback("Lost", nil, func() { in.inner.Lost(reason) }) }

// Changed implements weir.Instance.
func (in *instance) Changed() { in.callback("Changed", nil, in.inner.Changed) }

// QueryTeardown implements weir.TeardownQuerier.
func (in *instance) QueryTeardown(ctx context.Context) (err error) {
	if querier, ok := in.inner.(weir.TeardownQuerier); ok {
		in.callback("QueryTeardown", nil, func() { err = querier.QueryTeardown(ctx) })
	}
	return err
}

// TeardownStart implements weir.TeardownStarter.
func (in *instance) TeardownStart(reason weir.TeardownReason) {
	if starter, ok := in.inner.(weir.TeardownStarter); ok {
		in.callback("TeardownStart", nil, func() { starter.TeardownStart(reason) })
	}
}

// Teardown implements weir.Instance. What is still pended has been given up before it is called.
func (in *instance) Teardown(ctx context.Context, reason weir.TeardownReason) {
	in.mu.Lock()
	again := in.phase != attached
	in.phase = ending
	var left []*call
	for c := range in.pended {
		left = append(left, c)
	}
	in.mu.Unlock()
	if again {
		in.report(setupTeardown, nil, "Teardown is called a second time")
	}
	for _, c := range left {
		c.giveUp()
	}
	in.checkKept()
	in.run(func() { in.inner.Teardown(ctx, reason) })
	in.mu.Lock()
	defer in.mu.Unlock()
	in.phase = over
}

// end reports what the instance has left behind. One that is left behind itself, with a callback that does not return, has no
// Teardown.
func (in *instance) end() {
	in.mu.Lock()
	forgotten := in.phase == attached && in.running == 0
	in.phase = over
	in.mu.Unlock()
	if forgotten {
		in.report(setupTeardown, nil, "the instance has ended without a Teardown")
	}
	in.reportTaken()
}

// reportTaken reports what has been taken, and not been given back.
func (in *instance) reportTaken() {
	in.mu.Lock()
	left := slices.Collect(maps.Keys(in.taken))
	in.mu.Unlock()
	slices.SortFunc(left, func(a, b *taken) int { return a.compare(b) })
	for _, t := range left {
		found := in.violation(t.rule, nil, "%s was not released", t.what)
		found.Stack = t.stack()
		in.verifier.report(in, found)
	}
}

// intercepting is an instance that operations pass.
type intercepting struct {
	*instance
	interceptor weir.Interceptor
}

// Pre implements weir.Interceptor.
func (i *intercepting) Pre(ctx context.Context, inner weir.Call) (status weir.PreStatus) {
	c := i.newCall(inner)
	inner.Keep(c)
	i.checkRecursion(ctx, c)
	i.checkOrder(passageOf(ctx), c, "Pre", false)
	defer func() {
		if status == 0 { // as after a panic
			c.end()
		}
	}()
	shown := inside(ctx, i.instance)
	i.callback("Pre", c, func() { status = i.interceptor.Pre(shown, c) })
	c.preReturned(ctx, status)
	return status
}

// Post implements weir.Interceptor.
func (i *intercepting) Post(ctx context.Context, inner weir.Call) (status weir.PostStatus) {
	c := i.backAgain(inner)
	if !inner.Draining() { // That comes when the instance ends.
		i.checkOrder(passageOf(ctx), c, "Post", true)
	}
	defer func() {
		if status == 0 {
			c.end()
		}
	}()
	shown := inside(ctx, i.instance)
	i.callback("Post", c, func() { status = i.interceptor.Post(shown, c) })
	c.postReturned(ctx, status)
	return status
}
