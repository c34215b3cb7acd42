package volume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/sys/probe"
)

// Options say how a Watcher works. The zero value is right for most.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged

	// Fallback makes the Watcher work as on a kernel before 6.8, by /proc/self/mountinfo alone.
	Fallback bool
}

// Watcher is the weir.Discovery of the machine's volumes, and the owner of what is borrowed from them. It
// is safe for concurrent use.
type Watcher struct {
	log      *slog.Logger
	fallback bool

	// looking serialises looking at the kernel and applying what was seen, so that the model follows one
	// order. It is taken before mu.
	looking   sync.Mutex
	eyes      *eyes // nil while Run does not run
	elsewhere elsewhere

	mu       sync.Mutex
	model    model
	volumes  map[weir.VolumeID]*volume
	departed []departed // by when they left
	queue    []notice
	state    runState
	asked    map[question]*asking // what goroutines in the background ask now
	marks    *probe.Marks         // to try marks; nil until first used while Run runs

	notify     chan struct{} // holds one token when queue may be non-empty
	entering   chan struct{} // holds a token for each volume that is looked at in another namespace now
	listing    atomic.Bool   // a walk through the processes is under way
	background sync.WaitGroup
}

// manyEntering is how many volumes that only other namespaces show are looked at at a time.
const manyEntering = 4

type runState uint8

const (
	notRun runState = iota
	opening
	running // from the first listing on
	ended
)

// notice is one call of a sink.
type notice struct {
	kind   noticeKind
	volume *volume
	listed bool
	reason string
}

type noticeKind uint8

const (
	tellArrived noticeKind = iota
	tellChanged
	tellLeft
	tellPassed
	tellListed
	tellMissed
)

// New returns a Watcher that watches once it Runs. At and MountsBelow work before that too.
func New(options Options) *Watcher {
	logger := options.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Watcher{
		log:      logger,
		fallback: options.Fallback,
		volumes:  map[weir.VolumeID]*volume{},
		asked:    map[question]*asking{},
		notify:   make(chan struct{}, 1),
		entering: make(chan struct{}, manyEntering),
	}
}

var errRunTwice = errors.New("a watcher of volumes runs once")

// Run implements weir.Discovery. It can be called once. When it returns, every lease is called back.
func (w *Watcher) Run(ctx context.Context, sink weir.VolumeSink) error {
	w.mu.Lock()
	first := w.state == notRun
	w.state = max(w.state, opening)
	w.mu.Unlock()
	if !first {
		return errRunTwice
	}
	defer w.end()
	if err := w.open(); err != nil {
		return err
	}
	waiter, err := mount.NewWaiter()
	if err != nil {
		return err
	}
	defer waiter.Close()

	watched := make(chan error, 1)
	go func() { watched <- w.watch(ctx, waiter) }()
	defer context.AfterFunc(ctx, waiter.Interrupt)()
	for {
		select {
		case <-w.notify:
			w.tell(ctx, sink)
		case err := <-watched:
			return err
		}
	}
}

// open subscribes, then lists.
func (w *Watcher) open() error {
	w.looking.Lock()
	defer w.looking.Unlock()
	eyes, err := openEyes(w.fallback, w.log)
	if err != nil {
		return err
	}
	w.eyes = eyes
	w.log.Debug("watching mounts", "events", eyes.events != nil, "unique_ids", eyes.unique)
	return w.beginLocked()
}

// end calls every lease back and lets go of everything.
func (w *Watcher) end() {
	w.mu.Lock()
	w.state = ended
	marks := w.marks
	w.marks = nil
	for _, v := range w.volumes {
		v.callBackLocked()
	}
	w.mu.Unlock()
	w.waitBackground(time.Second)
	if marks != nil {
		_ = marks.Close()
	}
	w.looking.Lock()
	defer w.looking.Unlock()
	if w.eyes != nil {
		_ = w.eyes.Close()
		w.eyes = nil
	}
}

// waitBackground waits for goroutines that touch volumes, except those that a volume holds fast.
func (w *Watcher) waitBackground(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		w.background.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		w.log.Warn("a volume does not answer; what asks it is left behind", "asked", strings.Join(w.Asked(), "; "))
	}
}

// Asked names what is asked now: paths, sources of volumes.
func (w *Watcher) Asked() (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := range w.asked {
		names = append(names, weir.QuotePath(q.of))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// tell empties the queue into sink.
func (w *Watcher) tell(ctx context.Context, sink weir.VolumeSink) {
	for ctx.Err() == nil {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		for _, n := range queue {
			if n.kind == tellChanged {
				n.volume.changeQueued = false
			}
		}
		w.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, n := range queue {
			if ctx.Err() != nil {
				return
			}
			n.tell(sink)
		}
	}
}

func (n notice) tell(sink weir.VolumeSink) {
	switch n.kind {
	case tellArrived:
		sink.Arrived(n.volume, n.listed)
	case tellChanged:
		sink.Changed(n.volume)
	case tellLeft:
		sink.Left(n.volume)
	case tellPassed:
		sink.Passed()
	case tellListed:
		sink.Listed()
	case tellMissed:
		sink.Missed(n.reason)
	}
}

// carryOutLocked carries changes of the model over to the volumes, and returns what is to be told.
func (w *Watcher) carryOutLocked(changes []change) []notice {
	var notices []notice
	for _, c := range changes {
		switch c.kind {
		case arrived:
			v := newVolume(w, w.model.find(c.id))
			w.volumes[c.id] = v
			notices = append(notices, notice{kind: tellArrived, volume: v, listed: c.listed})
		case changed:
			v := w.volumes[c.id]
			if c.parted {
				v.callBackLocked()
			}
			notices = append(notices, notice{kind: tellChanged, volume: v})
		case left:
			v := w.volumes[c.id]
			v.gone = true
			v.callBackLocked()
			w.departLocked(v)
			delete(w.volumes, c.id)
			notices = append(notices, notice{kind: tellLeft, volume: v})
		}
	}
	return notices
}

// queueLocked appends notices if Run will tell them. Until it has listed none is queued: it begins with telling all. A change
// that waits to be told stands for later ones too.
func (w *Watcher) queueLocked(notices ...notice) {
	if w.state != running || len(notices) == 0 {
		return
	}
	for _, n := range notices {
		if n.kind == tellChanged {
			if n.volume.changeQueued {
				continue
			}
			n.volume.changeQueued = true
		}
		w.queue = append(w.queue, n)
	}
	select {
	case w.notify <- struct{}{}:
	default:
	}
}
