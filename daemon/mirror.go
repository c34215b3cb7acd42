package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/fanotify"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/volume"
)

// Options says what a mirror does. The zero value of each field but Source and Targets is its default.
type Options struct {
	Source  string
	Targets []string

	Rules        policy.Rules
	Brake        policy.Limit
	Replaced     policy.Replaced
	OneVolume    bool
	Adopt        bool
	NoDevices    bool
	NoPrivileges bool
	Bandwidth    int64
	ScanInterval time.Duration

	State    string // directory; "" for the default
	Fallback bool   // find mounts by mountinfo alone, as on kernels before 6.15
	Logger   *slog.Logger
}

// Mirror is one source with its targets. It is used by one goroutine, except for Status.
type Mirror struct {
	options    Options
	watcher    *volume.Watcher
	index      *index.DB
	ledger     *ledger.Ledger
	replicator *replicate.Replicator
	manager    *manager.Manager
	lock       *lock
}

// StopTimeout is how long a mirror may take to end.
const StopTimeout = 5 * time.Second

// Open checks everything that can be refused, locks the state directory and prepares the targets. Nothing
// runs until Run.
func Open(ctx context.Context, o Options) (*Mirror, error) {
	if err := checkRights(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	source, exists, err := resolveSource(o.Source)
	if err != nil {
		return nil, err
	}
	o.Source = source
	targets := make([]string, len(o.Targets))
	for i, t := range o.Targets {
		if targets[i], err = resolveTarget(t); err != nil {
			return nil, err
		}
	}
	o.Targets = targets
	if o.State == "" {
		o.State = StateDir(source, targets)
	}
	m := &Mirror{options: o, watcher: volume.New(volume.Options{Logger: o.Logger, Fallback: o.Fallback})}
	if _, err := os.Stat(filepath.Join(o.State, indexDir)); !exists && err != nil {
		return nil, refuse("use source", o.Source, "it does not exist", "create it, or mount what it is on")
	}
	if err := checkApart(m.watcher, o.Source, o.Targets); err != nil {
		return nil, err
	}
	if err := m.open(ctx); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

const indexDir = "index"

func (m *Mirror) open(ctx context.Context) (err error) {
	o := m.options
	if m.lock, err = takeLock(o.State); err != nil {
		return err
	}
	if m.index, err = openIndex(filepath.Join(o.State, indexDir), o.Logger); err != nil {
		return err
	}
	if m.ledger, err = ledger.Open(o.State); err != nil {
		return err
	}
	m.replicator, err = replicate.New(replicate.Options{
		Source: o.Source, Targets: o.Targets, Rules: o.Rules, Brake: o.Brake, Replaced: o.Replaced,
		OneVolume: o.OneVolume, Adopt: o.Adopt, NoDevices: o.NoDevices, NoPrivileges: o.NoPrivileges,
		Bandwidth: o.Bandwidth, ScanInterval: o.ScanInterval, Index: m.index, Discovery: m.watcher,
		Mounts: m.watcher, Logger: o.Logger, CoarseTimes: coarseTimes(),
	})
	if err != nil {
		return err
	}
	if err := m.replicator.Prepare(ctx); err != nil {
		return err
	}
	m.manager, err = manager.New(manager.Options{
		Discovery: m.watcher, Planes: []weir.Plane{fanotify.New(fanotify.Options{Logger: o.Logger})},
		Filters: []*weir.Filter{m.replicator.Filter()}, Ledger: m.ledger, Logger: o.Logger, StopTimeout: StopTimeout,
	})
	return err
}

// openIndex opens the index. One that is damaged is put aside: targets carry a marker, and the index is
// rebuilt from them by comparison.
func openIndex(dir string, logger *slog.Logger) (*index.DB, error) {
	db, err := index.Open(dir, index.Options{Logger: logger})
	if !errors.Is(err, index.ErrDamaged) {
		return db, err
	}
	aside := dir + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	logger.Error("the index is damaged; it is put aside and built anew by comparing the targets", "error", err, "aside", aside)
	if err := os.Rename(dir, aside); err != nil {
		return nil, fmt.Errorf("put the damaged index aside: %w", err)
	}
	return index.Open(dir, index.Options{Logger: logger})
}

// Run mirrors until ctx ends. With once it returns as soon as everything that could be done is done and
// durable. The error of a mirror that was interrupted before a target had passed the barrier is of
// KindBehind; that of one that could not replicate everything is of KindDiffers.
func (m *Mirror) Run(ctx context.Context, once bool) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	var managed, replicated error
	work, endWork := context.WithCancel(run)
	defer endWork()
	wg.Go(func() { replicated = m.replicator.Run(work); stop() })
	wg.Go(func() { managed = m.manager.Run(run); endWork() })
	err := m.wait(ctx, run, once)
	stop()
	wg.Wait()
	return errors.Join(err, managed, replicated)
}

// wait returns when the mirror is done, or has been asked to end and has passed its barriers.
func (m *Mirror) wait(ctx, run context.Context, once bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-run.Done():
			return nil
		case <-ctx.Done():
			return m.drain(run)
		case <-ticker.C:
		}
		if !once {
			continue
		}
		if settled, failed := m.replicator.Settled(); settled {
			return m.verdict(failed)
		}
	}
}

// drain waits until what has been seen is durable, for as long as a stop may take.
func (m *Mirror) drain(run context.Context) error {
	deadline := time.After(StopTimeout - time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		behind := m.replicator.Behind()
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-run.Done():
			return nil
		case <-deadline:
			return &weir.Error{Op: "stop", Kind: weir.KindBehind,
				Err:  fmt.Errorf("not everything is durable on %s", list(behind)),
				Hint: "the next start goes on from what is"}
		}
	}
}

func list(paths []string) string {
	text := ""
	for i, p := range paths {
		if i > 0 {
			text += ", "
		}
		text += weir.QuotePath(p)
	}
	return text
}

// verdict is the result of one run to the end.
func (m *Mirror) verdict(failed []replicate.UnitStatus) error {
	for _, u := range failed {
		return &weir.Error{Op: "mirror", Kind: weir.KindDiffers, Path: u.Place,
			Err: fmt.Errorf("not replicated to %s: %s %s", weir.QuotePath(u.Target), u.Phase, u.Reason)}
	}
	s := m.replicator.Status()
	if n := int64(len(s.Problems)) + s.More; n > 0 {
		return &weir.Error{Op: "mirror", Kind: weir.KindDiffers, Err: fmt.Errorf("%d paths could not be replicated as they are", n)}
	}
	for _, u := range s.Units {
		if u.Phase == replicate.PhaseBraked {
			return &weir.Error{Op: "mirror", Kind: weir.KindDiffers, Path: u.Place, Err: errors.New(u.Reason),
				Hint: "say --max-delete off, or a larger number, if the deletions are meant"}
		}
	}
	return nil
}

// Status tells how the mirror stands. It is safe for concurrent use.
func (m *Mirror) Status() replicate.Status { return m.replicator.Status() }

// Changed returns a channel that gets a token after the status has changed.
func (m *Mirror) Changed() <-chan struct{} { return m.replicator.Changed() }

// State returns the state directory.
func (m *Mirror) State() string { return m.options.State }

// Close gives everything back. It may be called twice.
func (m *Mirror) Close() error {
	var err error
	if m.ledger != nil {
		err = errors.Join(err, m.ledger.Close())
		m.ledger = nil
	}
	if m.index != nil {
		err = errors.Join(err, m.index.Close())
		m.index = nil
	}
	if m.lock != nil {
		m.lock.release()
		m.lock = nil
	}
	return err
}
