package verify

import (
	"context"
	"hash/crc32"
	"reflect"

	"github.com/weirfs/weir"
)

// found is a call as a callback finds it.
type found struct {
	parameters weir.Parameters
	result     weir.Result
	sum        uint32 // of what the program writes
}

func look(inner weir.Call) found {
	f := found{parameters: *inner.Parameters(), result: *inner.Result()}
	f.sum = f.written()
	return f
}

func (f *found) written() uint32 {
	if f.parameters.Op != weir.OpModify {
		return 0
	}
	return crc32.ChecksumIEEE(f.parameters.Data)
}

func known(status weir.PreStatus) bool {
	return status >= weir.PreContinue && status <= weir.PreComplete
}

// preReturned looks at what Pre has returned.
func (c *call) preReturned(ctx context.Context, status weir.PreStatus) {
	c.mu.Lock()
	resumed := c.resumed[pendedPre]
	c.mu.Unlock()
	switch {
	case status == weir.PrePend:
		c.pend(ctx, pendedPre)
	case resumed:
		c.in.report(notPended, c, "Pre has resumed the operation and returned %s", status)
	case !known(status):
		c.in.report(preStatus, c, "Pre has returned %d", status)
		c.end()
	default:
		c.preDecided(status)
	}
}

// preDecided looks at what the filter has made of the operation, which goes on now.
func (c *call) preDecided(status weir.PreStatus) {
	comesBack := c.after && (status == weir.PreContinue || status == weir.PreSynchronize)
	now := look(c.inner)
	c.mu.Lock()
	dirty, keeps, found := c.dirty, c.keeps, c.found
	c.stage = ended
	if comesBack {
		c.stage = below
	}
	c.mu.Unlock()
	p := now.parameters
	switch {
	case p.Op != found.parameters.Op || p.PID != found.parameters.PID:
		c.in.report(immutable, c, "Pre has changed Op or PID")
	case !same(p, found.parameters) && !dirty && status != weir.PreComplete:
		c.in.report(notMarked, c, "Pre has changed the parameters, and not called MarkDirty")
	}
	if dirty && status != weir.PreComplete && p.Volume != found.parameters.Volume && !c.in.verifier.twin(c.in, p.Volume) {
		c.in.report(retarget, c, "Pre has sent the operation to volume %d, where the filter has no instance at altitude %s", p.Volume, c.in.altitude)
	}
	if found.written() != found.sum {
		c.in.report(dataInPlace, c, "Pre has changed the bytes that the program writes in the program's memory")
	}
	if status == weir.PreSynchronize && !c.after {
		c.in.report(noPost, c, "Pre wants Post to be called on its goroutine, and the operation is not one of After")
	}
	if keeps && !comesBack {
		c.in.report(keptUnseen, c, "Pre has kept a value, and no Post follows %s", status)
	}
	c.checkResult(status, found, now.result)
}

// checkResult looks at what the program would get.
func (c *call) checkResult(status weir.PreStatus, found found, result weir.Result) {
	why := unusable(found.parameters, result)
	switch {
	case status != weir.PreComplete:
		if !reflect.DeepEqual(result, found.result) {
			c.in.report(lostResult, c, "Pre has set a result, and let the operation go on")
		}
	case result.Err != nil && found.parameters.Op == weir.OpClose:
		c.in.report(failedClose, c, "Pre has failed a close: %v", result.Err)
	case why != "":
		c.in.report(noResult, c, "Pre has completed the operation without an error, and %s", why)
	}
}

// unusable says what a result lacks for a success.
func unusable(p weir.Parameters, r weir.Result) string {
	switch {
	case r.Err != nil:
	case p.Op == weir.OpCreate && r.Object == "":
		return "without the Object that is there now"
	case p.Op == weir.OpOpen && r.Open == 0:
		return "without an Open"
	case p.Op == weir.OpModify && len(p.Data) > 0 && r.N <= 0:
		return "with no byte written"
	}
	return ""
}

// postReturned looks at what Post has returned.
func (c *call) postReturned(ctx context.Context, status weir.PostStatus) {
	c.mu.Lock()
	resumed := c.resumed[pendedPost]
	c.mu.Unlock()
	switch {
	case status == weir.PostPend && c.drain:
		c.in.report(pendDraining, c, "a draining Post has pended")
	case status == weir.PostPend:
		c.pend(ctx, pendedPost)
		return
	case resumed:
		c.in.report(notPended, c, "Post has resumed the operation and returned %s", status)
		return
	case status != weir.PostFinished:
		c.in.report(postStatus, c, "Post has returned %d", status)
	}
	c.postDecided()
}

// postDecided looks at what the filter has made of the operation, which leaves it now.
func (c *call) postDecided() {
	now := look(c.inner)
	c.mu.Lock()
	found := c.found
	c.stage = ended
	c.mu.Unlock()
	parameters := !same(now.parameters, found.parameters)
	switch {
	case c.drain && (parameters || !reflect.DeepEqual(now.result, found.result)):
		c.in.report(changedDraining, c, "a draining Post has changed the parameters or the result")
	case parameters:
		c.in.report(changedInPost, c, "Post has changed the parameters")
	}
}

// same tells whether two parameters are equal, with the same slice in them.
func same(a, b weir.Parameters) bool {
	data := len(a.Data) == len(b.Data) && (len(a.Data) == 0 || &a.Data[0] == &b.Data[0])
	a.Data, b.Data = nil, nil
	return data && reflect.DeepEqual(a, b)
}
