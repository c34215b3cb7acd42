package weirtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
)

// World is a manager that runs, and the volumes that it sees.
type World struct {
	// Manager is what runs, for what the methods here do not say.
	Manager *manager.Manager

	// Plane is what brings operations to the manager: it can hold them back, put them out of order, merge them and lose them.
	Plane *memory.Plane

	ctx       context.Context // of the test
	settling  chan struct{}   // holds a token while somebody settles
	discovery memory.Discovery
	ledger    *ledger.Ledger
	state     string // its directory
	fault     func(format string, args ...any)
	fatal     func(args ...any)
	last      weir.VolumeID
	stop      context.CancelFunc
	ended     chan error

	mu           sync.Mutex
	volumes      map[weir.VolumeID]*memory.Volume
	beforeAttach func(ctx context.Context, volume weir.Volume) error
	beforeSetup  func(ctx context.Context, filter string, site weir.Site) error
	hooked       map[place]int // set-ups that the test's own hook has delayed
	tolerated    []string
	violations   []verify.Violation
	log          strings.Builder
}

// place is where a filter is set up.
type place struct {
	filter string
	volume weir.VolumeID
}

// Run runs a test in a new world with filters in it. At its end the manager is stopped, and nothing of the filters may be
// left. A filter that has channels or timers is made inside of the test, and loaded there: what is made outside is of another
// time, and who waits for it waits for ever.
func Run(t *testing.T, test func(w *World), filters ...*weir.Filter) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t.Context(), t.Errorf, t.Fatal)
		defer w.close()
		for _, f := range filters {
			w.Must(w.Load(f))
		}
		test(w)
	})
}

// newWorld starts a manager. ctx is that of the test inside the bubble, fault is told of what is wrong, fatal has the test end.
func newWorld(ctx context.Context, fault func(string, ...any), fatal func(...any)) *World {
	w := &World{
		Plane: new(memory.Plane), ctx: ctx, fault: fault, fatal: fatal,
		settling: make(chan struct{}, 1), ended: make(chan error, 1), volumes: map[weir.VolumeID]*memory.Volume{}, hooked: map[place]int{},
	}
	if err := w.keep(); err != nil {
		fatal(err)
	}
	m, err := manager.New(manager.Options{
		Discovery: &w.discovery, Planes: []weir.Plane{&plane{w.Plane, w}}, Ledger: w.ledger,
		Logger: slog.New(slog.NewTextHandler(w, nil)), Verify: &verify.Options{Violation: w.violated, Slices: true},
	})
	if err != nil {
		fatal(err)
	}
	w.Manager = m
	run, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.ended <- m.Run(run) }()
	w.Settle()
	return w
}

// close ends the world.
func (w *World) close() {
	if err := w.Stop(); err != nil {
		w.fault("the manager does not stop: %v", err)
	}
	w.Settle()
	if err := w.forget(); err != nil {
		w.fault("%v", err)
	}
	if left := others(); len(left) > 0 {
		w.fault("%d goroutines are left when everything has ended, one of them:\n%s", len(left), left[0])
		time.Sleep(1000 * time.Hour) // so that one that only sleeps does not end the whole test as a deadlock
	}
}

// Stop stops the manager, as at the end of the program, and returns what that returns. It may be called twice.
func (w *World) Stop() error {
	w.stop()
	err := <-w.ended
	w.ended <- nil
	return err
}

// Write takes the manager's log.
func (w *World) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

// Log returns what an operator would have read so far.
func (w *World) Log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// violated takes what the verifier finds.
func (w *World) violated(v verify.Violation) {
	w.mu.Lock()
	w.violations = append(w.violations, v)
	tolerated := slices.Contains(w.tolerated, v.Rule)
	hooked := v.Rule == "slow-setup" && w.hooked[place{v.Filter, v.Volume}] > 0 && v.Instance != ""
	w.mu.Unlock()
	if !tolerated && !hooked {
		w.fault("%v", v)
	}
}

// Tolerate has the test go on when rules are broken; Violations still lists them.
func (w *World) Tolerate(rules ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tolerated = append(w.tolerated, rules...)
}

// Violations lists the rules that were broken so far.
func (w *World) Violations() []verify.Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}

// Context is the test's, for what is done in it: it ends when the test does. That of the testing.T outside of Run belongs to
// another time, and ends the whole test if anything in the world waits for it.
func (w *World) Context() context.Context { return w.ctx }

// Settle waits until everything in the world waits: for an operation, for time, or for the test.
func (w *World) Settle() {
	w.settling <- struct{}{} // One at a time can wait; the others are among those that do.
	synctest.Wait()
	<-w.settling
}

// Must ends the test if there is an error.
func (w *World) Must(errs ...error) {
	for _, err := range errs {
		if err != nil {
			w.fatal(err)
		}
	}
}

// State returns the state of a filter's first instance on a volume: "attached", "declined", "failed", ..., or "none". That the
// volume takes no mark, so that weir coverage has it as scan only or blind, is the state of the link, in Manager.Snapshot.
func (w *World) State(filter string, v weir.Volume) string {
	w.Settle()
	if slot := w.Manager.Snapshot().Slot(filter, v.ID()); slot != nil {
		return slot.State.String()
	}
	return "none"
}

// Want fails the test if the state of a filter's first instance is another.
func (w *World) Want(filter string, v weir.Volume, state string) {
	if got := w.State(filter, v); got != state {
		why := ""
		if slot := w.Manager.Snapshot().Slot(filter, v.ID()); slot != nil && slot.Why != "" {
			why = ": " + slot.Why
		}
		w.fault("filter %s on volume %d is %s, not %s%s", filter, v.ID(), got, state, why)
	}
}

// Pending is something that was begun.
type Pending struct {
	world *World
	done  chan struct{}
	err   error
}

// Begin does something, such as an operation that is to hang, on a goroutine of its own, and returns when that waits or
// has ended.
func (w *World) Begin(do func() error) *Pending {
	p := &Pending{world: w, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = do()
	}()
	w.Settle()
	return p
}

// Done tells whether it has ended.
func (p *Pending) Done() bool {
	p.world.Settle()
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for its end.
func (p *Pending) Wait() error {
	<-p.done
	return p.err
}

// plane is the plane of a world, which can hang and fail.
type plane struct {
	*memory.Plane
	world *World
}

func (p *plane) before(ctx context.Context, v weir.Volume) error {
	p.world.mu.Lock()
	before := p.world.beforeAttach
	p.world.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, v)
}

// Attach implements weir.Plane.
func (p *plane) Attach(ctx context.Context, v weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	if err := p.before(ctx, v); err != nil {
		return nil, fmt.Errorf("attach plane: %w", err)
	}
	return p.Plane.Attach(ctx, v, wants, sink)
}

// Intercept implements weir.Intercepting.
func (p *plane) Intercept(ctx context.Context, v weir.Volume, altitude weir.Altitude, gate weir.Gate) (weir.Interception, error) {
	if err := p.before(ctx, v); err != nil {
		return nil, fmt.Errorf("intercept operations: %w", err)
	}
	return p.Plane.Intercept(ctx, v, altitude, gate)
}
