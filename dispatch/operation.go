package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
)

// Pool keeps what operations need while they pass instances. The zero value is ready.
type Pool struct {
	operations sync.Pool
	made       atomic.Uint32
}

// sample is how many operations pass for one whose callbacks are timed: looking at the clock takes as long as the rest.
const sample = 16

// operation is one on its way. It belongs to the goroutine that carries it.
type operation struct {
	pool   *Pool
	lane   uint32
	rounds uint32
	timed  bool

	ctx    context.Context
	params *weir.Parameters // as the instances passed so far have left them
	result weir.Result
	path   []*Instance // those that are to be passed, from high to low
	lower  weir.Lower
	calls  []*call // those that have been made, kept for the next operation
	used   int     // how many of them are of this operation
}

func (p *Pool) get() *operation {
	o, _ := p.operations.Get().(*operation)
	if o == nil {
		o = &operation{pool: p, lane: p.made.Add(1) % lanes}
	}
	o.rounds++
	o.timed = o.rounds%sample == 0
	return o
}

// do takes an operation along a path and returns how it ended.
func (p *Pool) do(ctx context.Context, params *weir.Parameters, path []*Instance, lower weir.Lower) weir.Result {
	o := p.get()
	o.ctx, o.params, o.path, o.lower = ctx, params, path, lower
	if o.down() {
		o.carryOut()
	}
	o.up()
	result := o.result
	o.put()
	return result
}

// down passes the instances from high to low. It returns false if one of them has ended the operation.
func (o *operation) down() bool {
	for len(o.path) > 0 {
		in := o.path[0]
		o.path = o.path[1:]
		if (in.before|in.after)&o.params.Op == 0 || in.skips.hold(o.params.IsDir, o.params.PID) {
			continue
		}
		if !o.pass(in) {
			return false
		}
	}
	return true
}

// pass passes one instance.
func (o *operation) pass(in *Instance) bool {
	c, as := o.call(in), inPre
	if in.before&o.params.Op == 0 {
		as = owed
	}
	if !c.lane.enter(c, as) {
		*c = call{}
		o.used--
		return true
	}
	if as == owed {
		return true
	}
	status := c.pre(o.ctx, o.timed)
	if c.dirty && status < weir.PreComplete {
		if err := o.change(c); err != nil {
			status = c.fail(err)
		}
	}
	if status == weir.PreComplete {
		o.result = c.result
	}
	wanted := status < weir.PreComplete && status != weir.PreSkipPost && in.after&o.params.Op != 0
	if c.settle(wanted) {
		c.copy().drainPost(o.ctx)
	}
	return status < weir.PreComplete
}

// change has the parameters as the instance has left them count for those below.
func (o *operation) change(c *call) error {
	switch {
	case c.own.Op != c.above.Op || c.own.PID != c.above.PID:
		return errors.New("it has changed what cannot be changed: Op or PID")
	case c.own.Volume != c.above.Volume:
		path, lower, err := c.instance.retarget(c.own.Volume)
		if err != nil {
			return err
		}
		o.path, o.lower = path, lower
	}
	o.params = &c.own
	return nil
}

func (o *operation) carryOut() {
	if o.ctx.Err() != nil {
		o.result = weir.Result{Err: context.Cause(o.ctx)}
		return
	}
	o.result = o.lower.Do(o.ctx, o.params)
}

// up passes those instances from low to high that are to see the operation again.
func (o *operation) up() {
	for i := o.used - 1; i >= 0; i-- {
		c := o.calls[i]
		if !c.take() {
			continue
		}
		c.own, c.result, c.dirty = *c.above, o.result, false
		if c.post(o.ctx, o.timed) {
			o.result = c.result
		}
		c.leave()
	}
}

// call returns a call that has not been used, or is used again.
func (o *operation) call(in *Instance) *call {
	if o.used == len(o.calls) {
		o.calls = append(o.calls, new(call))
	}
	c := o.calls[o.used]
	o.used++
	c.instance, c.lane = in, &in.lanes[o.lane]
	c.above, c.own = o.params, *o.params
	return c
}

// put gives the operation back, with nothing in it. A call that was pended is left to whoever may still have it.
func (o *operation) put() {
	for i, c := range o.calls[:o.used] {
		if c.pended || c.failed {
			o.calls[i] = new(call)
		} else {
			*c = call{}
		}
	}
	o.ctx, o.params, o.path, o.lower, o.result, o.used = nil, nil, nil, nil, weir.Result{}, 0
	o.pool.operations.Put(o)
}

// clock returns the time if the call is timed.
func clock(timed bool) (t time.Time) {
	if timed {
		t = time.Now()
	}
	return t
}
