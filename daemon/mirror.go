package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/internal/sys/process"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/plane/fanotify"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/verify"
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
	Exclude      []volume.Spec // volumes that no filter shall have an instance on by itself
	Forget       []string      // places whose volumes do not come back, absolute or relative to Source
	Adopt        bool
	NoDevices    bool
	NoPrivileges bool
	Bandwidth    int64
	ScanInterval time.Duration

	State    string // directory; "" for the default
	Announce string // directory in which the control socket is announced; "" for none
	Once     bool   // Run will be called so: a source that does not answer is refused, and not waited for
	Idle     bool   // an engine does its first comparison and copy at idle I/O priority
	Fallback bool   // find mounts by mountinfo alone, as on kernels before 6.15
	Logger   *slog.Logger

	// Manifests say which instances filters have, wherever they are loaded without another manifest.
	Manifests []*manifest.Manifest

	// Verify has every filter watched for rules that it breaks. Nil watches none.
	Verify *verify.Options

	// Engine is this process as the engine of a supervisor, which keeps the lock of State and is told how the mirror
	// ends; nil if it is none.
	Engine *Engine

	wrapPlane   func(weir.Plane) weir.Plane         // nil but in tests
	wrapGaps    func(replicate.Gaps) replicate.Gaps // likewise
	alter       func(*weir.Filter)                  // likewise
	coarseTimes bool                                // likewise; what the kernel's release says else

	unasked map[string]bool // targets that could not be asked when they were checked
}

// Mirror is one source with its targets. It is used by one goroutine, except for Status.
type Mirror struct {
	options    Options
	watcher    *volume.Watcher
	index      *index.DB
	ledger     *ledger.Ledger
	replicator *replicate.Replicator
	manager    *manager.Manager
	loans      loans
	lock       *lock
	stuck      *process.Identity // a former engine that hangs in the kernel
	refused    bool              // nothing has come of it
	hangs      bool              // a goroutine did not end
	endBy      time.Time         // when all that hangs is left behind; zero unless the mirror was asked to end
	told       []int             // which targets are behind, as it was told last

	final atomic.Pointer[replicate.Status] // set when Run takes the mirror down
}

// Open checks everything that can be refused, locks the state directory, and prepares the targets. Nothing runs until
// Run. A target that does not answer does not keep it.
func Open(ctx context.Context, o Options) (*Mirror, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o, watcher, err := check(ctx, o)
	if ctx.Err() != nil {
		return nil, behind(o.Targets, tooSoon)
	}
	if err != nil {
		return nil, err
	}
	m := &Mirror{options: o, watcher: watcher}
	if err := m.open(ctx); err != nil {
		if ctx.Err() != nil {
			err = behind(o.Targets, tooSoon)
		}
		m.refused = weir.KindOf(err) == weir.KindRefused
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

const indexDir = "index"

func (m *Mirror) open(ctx context.Context) (err error) {
	o := m.options
	if err = o.Engine.claim(m.watcher, o.Targets); err != nil {
		return err
	}
	if m.lock, err = askState(ctx, o.State, func() (*lock, error) { return takeLock(o.State, o.Engine.claimant()) }); err != nil {
		return err
	}
	if err := o.Engine.handOver(m.lock); err != nil {
		return err
	}
	if err := m.succeed(); err != nil {
		return stateFails(o.State, err)
	}
	if m.index, err = openIndex(filepath.Join(o.State, indexDir), o.Logger); err != nil {
		return stateFails(o.State, err)
	}
	targets, err := belongs(m.index, o)
	if err != nil {
		return err
	}
	if m.ledger, err = ledger.Open(o.State); err != nil {
		return stateFails(o.State, err)
	}
	var gaps replicate.Gaps = m.ledger
	if o.wrapGaps != nil {
		gaps = o.wrapGaps(gaps)
	}
	m.replicator, err = replicate.New(replicate.Options{
		Source: o.Source, Targets: targets, Rules: o.Rules, Brake: o.Brake, Replaced: o.Replaced,
		OneVolume: o.OneVolume, Forget: o.Forget, Adopt: o.Adopt, NoDevices: o.NoDevices, NoPrivileges: o.NoPrivileges,
		Bandwidth: o.Bandwidth, Private: o.State, ScanInterval: o.ScanInterval, Index: m.index, Discovery: m.watcher,
		Excludes: o.excludes(), Mounts: m.watcher, Gaps: gaps, Admit: o.admit, Logger: o.Logger, CoarseTimes: o.coarseTimes || coarseTimes(), Unreported: m.watcher,
	})
	if err != nil {
		return err
	}
	if err := m.replicator.Prepare(ctx); err != nil {
		return err
	}
	m.mindLedger()
	var plane weir.Plane = fanotify.New(fanotify.Options{Logger: o.Logger})
	if o.wrapPlane != nil {
		plane = o.wrapPlane(plane)
	}
	filter := instancesOf([]*weir.Filter{m.replicator.Filter()}, o.Manifests)[0]
	if o.alter != nil {
		o.alter(filter)
	}
	m.manager, err = manager.New(manager.Options{
		Discovery: m.watcher, Planes: []weir.Plane{plane}, Elsewhere: map[string]weir.Reach{"memory": new(memory.Plane).Reach()},
		Filters: []*weir.Filter{filter}, Ledger: m.ledger, Logger: o.Logger, StopTimeout: teardownTime,
		Exclude: o.administered(), Verify: o.Verify, Accounting: []string{filter.Name}, // the replicator knows which volumes show nothing of the source
	})
	return err
}

// mindLedger says that the ledger is damaged, or that it is new although the index is not, and has gaps opened then.
func (m *Mirror) mindLedger() {
	damaged := m.ledger.Damaged()
	if damaged == 0 && !m.ledger.First() {
		return
	}
	if before := m.replicator.Unremembered(); damaged > 0 || before {
		m.options.Logger.Warn("the ledger was lost or damaged: which gaps there were before is not known; each volume has one until it was compared",
			"file", weir.LogPath(m.ledger.Path()), "unreadable_records", damaged)
	}
}

// succeed makes sure that no former engine works on the index, and signs in.
func (m *Mirror) succeed() (err error) {
	if m.stuck, err = former(m.options.State); err != nil {
		return err
	}
	if m.stuck != nil {
		m.options.Logger.Warn("a former process of this mirror hangs in the kernel, where it writes to a target; weir goes on without it",
			"pid", m.stuck.PID)
	}
	return signIn(m.options.State)
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

// Changed returns a channel that gets a token after the status has changed.
func (m *Mirror) Changed() <-chan struct{} { return m.replicator.Changed() }

// State returns the state directory.
func (m *Mirror) State() string { return m.options.State }

// Close gives everything back. It may be called twice. Where something hangs in the kernel, what that may still
// use is left as it is, and Close does not wait for it; the caller then ends the process.
func (m *Mirror) Close() error {
	var err error
	if db := m.index; db != nil {
		m.index = nil
		closed := begin(db.Close)
		if m.hangs && !closed.endsWithin(grace) {
			m.options.Logger.Warn("the index is left open: a goroutine that hangs is using it")
		} else {
			err = closed.wait()
		}
	}
	if l := m.ledger; l != nil && !m.hangs {
		m.ledger = nil
		err = errors.Join(err, l.Close())
	}
	if m.refused && !m.hangs {
		err = errors.Join(err, m.lock.discard())
	}
	return errors.Join(err, m.lock.release())
}
