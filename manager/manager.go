package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
)

// Manager keeps filters on volumes. It is safe for concurrent use.
type Manager struct {
	options  Options
	recorder *recorder
	verifier *verify.Verifier // nil if nobody watches
	pool     dispatch.Pool

	// work ends when a shutdown begins; setups and attaches run under it. teardown ends when the time
	// of the shutdown is over.
	work, teardown  context.Context
	endWork, giveUp context.CancelFunc
	down            chan struct{} // closed when the topology is down
	running         sync.WaitGroup

	mu        sync.Mutex
	state     *topology.State
	volumes   map[weir.VolumeID]*volume
	filters   map[topology.FilterID]*weir.Filter
	lives     map[topology.FilterID]*life
	nextID    topology.FilterID
	instances map[topology.Pair]*instance
	shared    map[share]*shared
	held      map[topology.Joint]*held
	gates     map[topology.Joint]*gate
	runs      map[topology.Work]*run
	retries   map[topology.Work]*time.Timer
	told      map[topology.Work]error // failures that were logged, until the work succeeds
	panics    map[culprit]int         // of filters that are there
	changed   chan struct{}           // closed and replaced when the epoch moves
	started   bool
}

// held is a frame's attachment to a volume, and by which plane.
type held struct {
	weir.Attachment
	plane string

	turn  chan struct{} // holds a token while Want runs
	wants weir.Demand   // that was wanted last; of whoever has the turn
}

// volume is what the manager keeps of a volume while the topology knows it.
type volume struct {
	volume weir.Volume
	stacks map[topology.FrameID]*dispatch.Stack
	info   weir.VolumeInfo
	since  time.Time
	met    map[topology.FilterID]bool // filters that have had an instance on it

	excluded Exclusion
}

// exclude notes why a rule keeps filters off the volume, and since when that is so.
func (v *volume) exclude(why string) {
	if v.excluded.Why != why {
		v.excluded = Exclusion{}
		if why != "" {
			v.excluded = Exclusion{why, now()}
		}
	}
}

// stackLocked returns the instances of a frame on a volume.
func (m *Manager) stackLocked(j topology.Joint) *dispatch.Stack {
	stacks := m.volumes[j.Volume].stacks
	if stacks[j.Frame] == nil {
		stacks[j.Frame] = dispatch.NewStack(&m.pool)
	}
	return stacks[j.Frame]
}

// New makes a manager with its filters registered. It starts nothing.
func New(options Options) (*Manager, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		options:   options,
		recorder:  newRecorder(options.Ledger, options.Logger),
		down:      make(chan struct{}),
		state:     topology.New(),
		volumes:   map[weir.VolumeID]*volume{},
		filters:   map[topology.FilterID]*weir.Filter{},
		lives:     map[topology.FilterID]*life{},
		instances: map[topology.Pair]*instance{},
		shared:    map[share]*shared{},
		held:      map[topology.Joint]*held{},
		gates:     map[topology.Joint]*gate{},
		runs:      map[topology.Work]*run{},
		retries:   map[topology.Work]*time.Timer{},
		told:      map[topology.Work]error{},
		panics:    map[culprit]int{},
		changed:   make(chan struct{}),
	}
	if options.Verify != nil {
		m.verifier = verify.New(*options.Verify, m.takeAway, options.Logger)
	}
	m.work, m.endWork = context.WithCancel(context.Background())
	m.teardown, m.giveUp = context.WithCancel(context.Background())
	for i, f := range options.Filters {
		if err := m.checkFilter(f, options.Filters[:i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Run starts the filters, then discovery, and blocks until ctx ends. Then it stops in order: no more
// volumes, no more set-ups, teardown of every instance, planes detached and closed; for no longer than
// Options.StopTimeout, after which it returns an error that names what has not ended. Discovery that
// fails stops the manager too. Run may be called once.
func (m *Manager) Run(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	discovery, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.options.Discovery.Run(discovery, &intake{m}) }()
	var err error
	select {
	case <-ctx.Done():
		stop()
		err = m.await(ended)
	case err = <-ended:
	}
	if err != nil {
		err = fmt.Errorf("discover volumes: %w", err)
	}
	return errors.Join(err, m.stop())
}

// begin starts the filters of the options.
func (m *Manager) begin() error {
	m.mu.Lock()
	again := m.started
	m.started = true
	m.mu.Unlock()
	if again {
		return errors.New("run manager: it has been run before")
	}
	m.recorder.start()
	for _, f := range m.options.Filters {
		if err := m.Start(f); err != nil {
			return err
		}
	}
	return nil
}

// await waits for discovery to end, but not for ever.
func (m *Manager) await(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(m.options.StopTimeout):
		return errors.New("it does not end")
	}
}

// stop is the shutdown. Whoever hangs keeps its goroutine, but not the manager.
func (m *Manager) stop() error {
	deadline := time.NewTimer(m.options.StopTimeout)
	defer deadline.Stop()
	m.apply(topology.Shutdown{})
	m.endWork()
	var err error
	select {
	case <-m.down:
	case <-deadline.C:
		err = m.leftBehind()
	}
	m.giveUp()
	m.stopRetries()
	if err == nil {
		m.running.Wait()
		for _, plane := range m.options.Planes {
			err = errors.Join(err, plane.Close())
		}
	}
	m.recorder.stop()
	return err
}

// leftBehind names the work that has not ended.
func (m *Manager) leftBehind() error {
	var errs []error
	for _, work := range m.Busy() {
		errs = append(errs, fmt.Errorf("stop manager: %s", work))
	}
	return errors.Join(errs...)
}

// Busy names the work that has not ended, and what keeps it.
func (m *Manager) Busy() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for work, r := range m.runs {
		name := m.describeLocked(work) + " has not ended"
		if keepers := r.keepers(); len(keepers) > 0 {
			name += ": " + strings.Join(keepers, "; ")
		}
		names = append(names, name)
	}
	if m.recorder.hangs() {
		names = append(names, "the ledger is being written")
	}
	slices.Sort(names)
	return names
}

func (m *Manager) describe(work topology.Work) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.describeLocked(work)
}

func (m *Manager) describeLocked(work topology.Work) string {
	source := "volume " + fmt.Sprint(work.Volume)
	if v := m.volumes[work.Volume]; v != nil {
		source += " (" + weir.QuotePath(v.info.Source) + ")"
	}
	if f := m.filters[work.Filter]; f != nil {
		return fmt.Sprintf("%s: filter %s on %s", work.Kind, f.Name, source)
	}
	return fmt.Sprintf("%s on %s", work.Kind, source)
}

func (m *Manager) stopRetries() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, timer := range m.retries {
		timer.Stop()
	}
}
