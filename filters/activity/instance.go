package activity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// backlog is how many operations may wait for their names, on each volume.
const backlog = 1 << 15

// happening is an operation, and when it was told.
type happening struct {
	at time.Time
	op weir.Operation
}

// instance is the monitor on one volume.
type instance struct {
	monitor *Monitor
	name    string // "" where it is called like the filter
	volume  weir.Volume
	host    weir.Host
	wake    chan struct{} // holds a token when there is something to do
	ending  chan struct{} // closed by Teardown
	done    chan struct{} // closed when the goroutine has ended
	turn    chan struct{} // holds a token while settle runs
	ctx     context.Context
	cancel  context.CancelFunc // gives up what waits for the volume

	mu      sync.Mutex
	waiting []happening
	dropped uint64 // and not yet told
	moved   bool   // the mounts have changed, or operations were lost
	mounts  []weir.Mount
	source  string

	names names // of the goroutine
}

func newInstance(m *Monitor, site weir.Site) *instance {
	in := &instance{
		monitor: m, volume: site.Volume, host: site.Host, wake: make(chan struct{}, 1), ending: make(chan struct{}),
		done: make(chan struct{}), turn: make(chan struct{}, 1), names: newNames(site.Volume),
	}
	if site.Instance.Name != Name {
		in.name = site.Instance.Name
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.look()
	return in
}

// look takes the mounts as they are now.
func (in *instance) look() {
	info := in.volume.Info()
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(info.Mounts) > 0 {
		in.mounts, in.source = info.Mounts, info.Source
	}
}

// mountsSeen returns the mounts as they were when they were looked at last. They must not be changed.
func (in *instance) mountsSeen() []weir.Mount {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.mounts
}

// title names the volume for people.
func (in *instance) title() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range in.mounts {
		if m.Own && m.Point != "" {
			return fmt.Sprintf("volume %d (%s)", in.volume.ID(), weir.QuotePath(m.Point))
		}
	}
	return fmt.Sprintf("volume %d (%s)", in.volume.ID(), weir.QuotePath(in.source))
}

// settle asks for the operations that those want who watch.
func (in *instance) settle(ctx context.Context) error {
	select {
	case in.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-in.turn }()
	var wants weir.Ops
	for _, w := range in.monitor.watching(in) {
		wants |= w.wants()
	}
	return in.host.Want(ctx, wants)
}

// Completed implements weir.Instance.
func (in *instance) Completed(ops []weir.Operation) {
	at := time.Now()
	in.mu.Lock()
	fits := min(len(ops), backlog-len(in.waiting))
	for _, op := range ops[:fits] {
		in.waiting = append(in.waiting, happening{at, op})
	}
	in.dropped += uint64(len(ops) - fits)
	in.mu.Unlock()
	in.poke()
}

func (in *instance) poke() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Lost implements weir.Instance. What was lost has not been counted by anybody.
func (in *instance) Lost(reason string) {
	in.monitor.note(in, fmt.Sprintf("%s: operations were lost, nobody knows how many: %s", in.title(), reason))
	in.Changed()
}

// Changed implements weir.Instance.
func (in *instance) Changed() {
	in.mu.Lock()
	in.moved = true
	in.mu.Unlock()
	in.poke()
}

// lastTime is how long an instance may take to name what it was told before its end.
const lastTime = 300 * time.Millisecond

// Teardown implements weir.Instance. What has been told before is told on, unless all conversations end anyway.
func (in *instance) Teardown(ctx context.Context, reason weir.TeardownReason) {
	defer in.cancel()
	everything := reason.Unloads() || reason == weir.TeardownShutdown
	if everything {
		in.cancel()
	} else {
		defer time.AfterFunc(lastTime, in.cancel).Stop()
	}
	close(in.ending)
	select {
	case <-in.done:
	case <-ctx.Done():
	}
	watching := in.monitor.watching(in)
	in.monitor.forget(in)
	if everything {
		return
	}
	why := taken(reason)
	for _, w := range watching {
		switch {
		case why == "":
			w.lose(in.volume.ID(), in.title()+" has left")
		case in.monitor.others(in):
			w.note(fmt.Sprintf("%s is not watched any more by instance %s: %s it", in.title(), cmp.Or(in.name, Name), why))
		default:
			w.lose(in.volume.ID(), in.title()+" is not watched any more: "+why+" the filter")
		}
	}
}

// taken says who has taken an instance from a volume that stays; "" if the volume has left.
func taken(reason weir.TeardownReason) string {
	switch reason {
	case weir.TeardownManual:
		return "somebody has detached"
	case weir.TeardownExcluded:
		return "a rule keeps away"
	case weir.TeardownInternalError:
		return "weir has taken away"
	default:
		return ""
	}
}

// run names what has happened, and tells it. It looks at the mounts each time: that a directory above a mount point is renamed
// is told by nobody.
func (in *instance) run() {
	defer close(in.done)
	for ended := false; !ended; {
		select {
		case <-in.wake:
		case <-in.ending:
			ended = true
		}
		waiting, dropped, moved := in.take()
		before := in.monitor.watching(in)
		if moved || len(waiting) > 0 {
			in.look()
		}
		if moved && !ended {
			in.follow(before)
		}
		if watching := in.monitor.watching(in); len(watching) > 0 {
			dropped += in.tell(waiting, watching)
			for _, w := range watching {
				w.drop(dropped)
			}
		}
	}
}

func (in *instance) take() (waiting []happening, dropped uint64, moved bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	waiting, dropped, moved = in.waiting, in.dropped, in.moved
	in.waiting, in.dropped, in.moved = nil, 0, false
	return waiting, dropped, moved
}

// follow looks again who watches the volume, after its mounts have changed. Before that it was those.
func (in *instance) follow(before []*watcher) {
	bounded, cancel := context.WithTimeout(in.ctx, settleTime)
	defer cancel()
	if err := in.settle(bounded); err != nil && weir.KindOf(err) != weir.KindAbsent {
		in.monitor.note(in, fmt.Sprintf("%s cannot be watched: %v", in.title(), err))
	} else if err == nil {
		in.begun(before)
	}
}

// noteTime is how a note says when, since it may be read anywhere, and later.
const noteTime = "2006-01-02T15:04:05.000Z07:00"

// begun tells those who watch the volume since its mounts have changed, and did not before, that there was a moment which they
// have not seen. There was none if the mount is still to come, as with weir mount.
func (in *instance) begun(before []*watcher) {
	now := time.Now()
	in.look()
	mounts := in.mountsSeen()
	there := slices.DeleteFunc(slices.Clone(mounts), func(m weir.Mount) bool { return m.Coming })
	for _, w := range in.monitor.watching(in) {
		if len(there) > 0 && !slices.Contains(before, w) && w.concerns(in.volume.ID(), there) {
			w.note(fmt.Sprintf("%s is watched from %s on: what happened there between its mount and then was not seen",
				in.title(), now.Format(noteTime)))
		}
	}
}

// tell hands operations to those who want to know of them, and returns how many there was no time for.
func (in *instance) tell(all []happening, watching []*watcher) (left uint64) {
	wanted := slices.DeleteFunc(all, func(h happening) bool {
		return !slices.ContainsFunc(watching, func(w *watcher) bool { return w.wantsOf(h.op) })
	})
	in.names.readProcesses(wanted)
	mounts := in.mountsSeen()
	for len(wanted) > 0 && in.ctx.Err() == nil {
		n := in.names.readDirs(in.ctx, wanted)
		for _, h := range wanted[:n] {
			p := in.names.of(h.op)
			for _, w := range watching {
				w.tell(h, p, mounts, in)
			}
		}
		wanted = wanted[n:]
	}
	return uint64(len(wanted))
}
