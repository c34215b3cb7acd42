package fanotify

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	sys "github.com/weirfs/weir/internal/sys/fanotify"
)

const (
	// bufferSize holds some 300 records; a read that leaves less than maxRecord free did not empty the
	// queue.
	bufferSize = 32 << 10
	maxRecord  = 1 << 10

	// After a read with few events the next change is probably alone and should not wait long; after a
	// read with many it pays to let them merge.
	shortPause = 2 * time.Millisecond
	longPause  = 5 * time.Millisecond
	manyEvents = 64

	retryRead = time.Second
)

// group is a fanotify group with the goroutine that reads it.
type group struct {
	sys    *sys.Group
	logger *slog.Logger
	stop   chan struct{} // closed by close
	done   chan struct{} // closed when the reader has ended
	once   sync.Once

	// marking makes "is the volume in the group" and the change of its mark one step. The two calls do no
	// input or output.
	marking sync.Mutex

	mu     sync.Mutex
	routes []*attachment
	shared bool // more than one volume has been in the group, so events must be told apart by f_fsid

	// The rest belongs to the reader.
	decoder decoder
	targets []*attachment // copy of routes for one read
}

func newGroup(open func(uint) (*sys.Group, error), logger *slog.Logger) (*group, error) {
	s, err := open(sys.InitObserve)
	if err != nil {
		return nil, err
	}
	g := &group{sys: s, logger: logger, stop: make(chan struct{}), done: make(chan struct{})}
	go g.read()
	return g, nil
}

func (g *group) add(a *attachment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.group = g
	g.shared = g.shared || len(g.routes) > 0
	g.routes = append(g.routes, a)
}

// remove returns how many attachments are left.
func (g *group) remove(a *attachment) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.routes = slices.DeleteFunc(g.routes, func(other *attachment) bool { return other == a })
	return len(g.routes)
}

func (g *group) all() []*attachment {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.routes)
}

// mark brings the mark of a superblock in line with what the attachments to the volume that are in the group want: first
// what is new, then what is not wanted any more, so that what stays is not interrupted.
func (g *group) mark(volume weir.VolumeID, dir int) error {
	g.marking.Lock()
	defer g.marking.Unlock()
	wants := g.wants(volume)
	mask := maskOf(wants)
	if mask != 0 {
		if err := g.sys.Mark(sys.MarkFilesystem, mask, dir); err != nil {
			return err
		}
	}
	rest := maskOf(weir.Demand{Ops: reach}) &^ mask
	if rest == 0 {
		return nil
	}
	err := g.sys.Unmark(sys.MarkFilesystem, rest, dir)
	if errors.Is(err, syscall.ENOENT) {
		return nil // nothing was marked
	}
	return err
}

// try marks a superblock for what everybody may want, to see whether that can be done.
func (g *group) try(dir int) error {
	g.marking.Lock()
	defer g.marking.Unlock()
	return g.sys.Mark(sys.MarkFilesystem, maskOf(weir.Demand{Ops: weir.OpCreate}), dir)
}

// wants returns what is wanted of a volume.
func (g *group) wants(volume weir.VolumeID) (wants weir.Demand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.routes {
		if a.volume.ID() == volume {
			wants = wants.With(a.wants)
		}
	}
	return wants
}

// set changes what an attachment wants, and returns what it wanted.
func (g *group) set(a *attachment, wants weir.Demand) (before weir.Demand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, a.wants = a.wants, wants
	return before
}

// burden ranks the group for a: few volumes are better than many, and a volume with the id of a is worse
// than any number.
func (g *group) burden(a *attachment) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.routes)
	for _, other := range g.routes {
		if other.fsid == a.fsid {
			n += 1 << 20
		}
	}
	return n
}

// close ends the reader and all marks. It may be called twice.
func (g *group) close() (err error) {
	g.once.Do(func() { close(g.stop) })
	err = g.sys.Close()
	<-g.done
	return err
}

func (g *group) read() {
	defer close(g.done)
	buf := make([]byte, bufferSize)
	for {
		n, err := g.sys.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			g.logger.Error("fanotify group cannot be read", "error", err)
			g.lose("the kernel's queue of events cannot be read: " + err.Error())
			g.pause(retryRead)
			continue
		}
		if g.empty(buf, n) < manyEvents {
			g.pause(shortPause)
		} else {
			g.pause(longPause)
		}
	}
}

func (g *group) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.stop:
	}
}

// empty dispatches the n bytes that have been read, and reads on until the queue was empty once. It
// returns the number of events.
func (g *group) empty(buf []byte, n int) (events int) {
	for {
		events += g.dispatch(buf[:n])
		if n < len(buf)-maxRecord {
			return events
		}
		var err error
		if n, err = g.sys.Drain(buf); err != nil || n == 0 {
			return events // a lasting error shows in the next Read
		}
	}
}

// dispatch tells the sinks what one read returned.
func (g *group) dispatch(buf []byte) (events int) {
	shared := g.aim()
	err := sys.Parse(buf, func(e *sys.Event) bool {
		events++
		if e.Mask&sys.Overflow != 0 {
			g.flush()
			g.lose("the kernel's queue of events overflowed")
			return true
		}
		g.route(e, shared)
		return true
	})
	g.flush()
	if err != nil {
		g.logger.Error("fanotify record not understood", "error", err)
		g.lose("an event was not understood: " + err.Error())
	}
	return events
}

// aim takes the routes for one read.
func (g *group) aim() (shared bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.targets = append(g.targets[:0], g.routes...)
	return g.shared
}

// route adds the event to the batches of those whom it concerns. An event that concerns nobody comes from
// a volume that has been detached.
func (g *group) route(e *sys.Event, shared bool) {
	var op weir.Operation
	for _, a := range g.targets {
		if shared && a.fsid != fsidOf(e) {
			continue
		}
		if op.Ops == 0 {
			op = g.decoder.operation(e)
		}
		a.batch = append(a.batch, op)
	}
}

func (g *group) flush() {
	for _, a := range g.targets {
		a.deliver()
	}
}

func (g *group) lose(reason string) {
	for _, a := range g.all() {
		a.lost(reason)
	}
}
