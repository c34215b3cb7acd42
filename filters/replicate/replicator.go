package replicate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/policy"
)

// Options says what is replicated, and how. They must not be changed after New.
type Options struct {
	Source  string   // absolute and clean
	Targets []string // likewise

	Rules        policy.Rules
	Brake        policy.Limit
	Replaced     policy.Replaced
	OneVolume    bool                         // leave out what is mounted below Source
	Excludes     func(weir.VolumeInfo) string // by which option a volume is left out, or ""; nil leaves none out
	Forget       []string                     // places whose volumes do not come back, relative to Source
	Adopt        bool                         // targets may hold data that weir did not make
	NoDevices    bool
	NoPrivileges bool
	Bandwidth    int64         // bytes read from the source a second; 0 for no limit
	Private      string        // a directory that weir itself writes, absolute and clean: where it is below Source it is left out
	ScanInterval time.Duration // of volumes that report no events; 0 for 10 s

	Index     *index.DB
	Discovery weir.Discovery
	Mounts    target.Mounts
	Gaps      Gaps                      // nil records nothing
	Admit     func(target string) error // says why a target that is new may not become one; nil has no reason
	Logger    *slog.Logger

	// CoarseTimes says that the kernel keeps time stamps by the tick: before Linux 6.13.
	CoarseTimes bool

	// Unreported lists mapped files; nil: stores through mappings are seen when the mapping ends.
	Unreported Unreported
}

const filterName = "replicate"

// altitude lies in the range of the Replication group.
var altitude = weir.MustAltitude("309999")

// Replicator is the filter that keeps replicas of one source on any number of targets. It is safe for
// concurrent use.
type Replicator struct {
	options   Options
	log       *slog.Logger
	stamp     string // names this run in the set-aside directories
	fineTimes bool
	limiter   *rate.Limiter
	counters  counters
	dry       bool          // units are not started
	draining  atomic.Bool   // no more events are taken
	signal    chan struct{} // holds a token when the status may have changed

	silent      atomic.Bool   // the source did not answer when it was looked for last
	temps       atomic.Uint64 // number of the last temporary; counts from the time of the start
	listed      atomic.Bool   // every volume that was there at the start has had its chance
	background  sync.WaitGroup
	mountsMoved chan struct{} // holds a token when the places have to be compared with the mounts, which are others
	resurvey    chan struct{} // holds a token when they have to be compared once more
	looks       looks

	reconcileMu sync.Mutex        // serialises reconcile, which does I/O
	troubles    map[outcry]string // what the last one has logged

	mu       sync.Mutex
	ctx      context.Context // of Run; nil before
	targets  []*target.Target
	places   []*place
	units    []*unit
	attached map[weir.VolumeID]weir.Volume
	compared map[weir.VolumeID]time.Time // when the last comparison of all of a volume that is attached began
	declined map[weir.VolumeID]declined
	mounted  int               // how many mounts there were below the source when the places were compared with them
	notes    map[string]string // mounts below the source that are not followed, and why
	buried   []burial          // those that cover too much
	foreseen []burial          // of volumes that weir is about to mount

	surveyTimer    *time.Timer // calls surveyDue
	surveyAt       time.Time   // when it does; zero if that is not planned
	unsettledSince time.Time   // since when not all places could be settled; zero if they are
}

// New checks the options. Nothing is started and nothing is written until Prepare and Run.
func New(o Options) (*Replicator, error) {
	if len(o.Targets) == 0 {
		return nil, &weir.Error{Op: "mirror", Kind: weir.KindRefused, Err: errors.New("no target given")}
	}
	if o.ScanInterval == 0 {
		o.ScanInterval = 10 * time.Second
	}
	r := &Replicator{
		options: o, log: o.Logger, fineTimes: !o.CoarseTimes, stamp: time.Now().UTC().Format("20060102T150405Z"),
		signal: make(chan struct{}, 1), mountsMoved: make(chan struct{}, 1), resurvey: make(chan struct{}, 1), attached: make(map[weir.VolumeID]weir.Volume), compared: make(map[weir.VolumeID]time.Time),
		declined: make(map[weir.VolumeID]declined),
	}
	r.surveyTimer = time.AfterFunc(idle, r.surveyDue)
	r.temps.Store(uint64(time.Now().UnixNano()))
	if o.Bandwidth > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(o.Bandwidth), int(max(o.Bandwidth/10, 1<<20)))
	}
	for n, path := range o.Targets {
		r.targets = append(r.targets, target.New(target.Options{
			Number: n, Path: path, Source: o.Source, Adopt: o.Adopt, Index: o.Index, Discovery: o.Discovery, Mounts: o.Mounts,
			Uncovered: r.uncovered, Admit: o.Admit, Logger: o.Logger,
		}))
	}
	return r, nil
}

// Prepare makes sure that every target may be used, and marks those that are new. An error of KindRefused
// says why one may not; nothing has been changed on it then. A target that the index knows and that does not answer
// is waited for by its units.
func (r *Replicator) Prepare(ctx context.Context) error {
	forgotten, err := r.toForget()
	if err != nil {
		return err
	}
	if err := r.prepareAll(ctx, false); err != nil {
		return err
	}
	if err := r.forgetAll(forgotten); err != nil {
		return err
	}
	return r.loadPlaces()
}

// Filter returns what the manager needs to know.
func (r *Replicator) Filter() *weir.Filter {
	return &weir.Filter{
		Name: filterName, Altitude: altitude,
		Wants:    weir.Changes,
		Scans:    true,
		Single:   true, // a place has one follower
		Concerns: r.asked, Setup: r.setup, Passed: r.passed, Remarks: r.remarks, Ignores: r.ignores, Unload: r.unload,
	}
}

// unload does not consent, where it can refuse: a mirror without its filter is none.
func (r *Replicator) unload(_ context.Context, mandatory bool) error {
	if mandatory {
		r.log.Warn("the filter is unloaded by force: replicas stand still until it is loaded again")
		return nil
	}
	return errors.New("replicas would stand still until it is loaded again: to end them, end weir mirror")
}

// Run replicates until ctx ends, then passes a last barrier with what was shown. It waits for every
// goroutine of the replicator.
func (r *Replicator) Run(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	units := r.units
	for _, u := range units {
		r.startLocked(u)
	}
	r.mu.Unlock()
	r.reconcile()
	r.background.Go(func() { r.followMapped(ctx) })
	ticker := time.NewTicker(r.options.ScanInterval)
	defer ticker.Stop()
	uncover := time.NewTicker(uncoverEvery)
	defer uncover.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.mountsMoved:
			r.reconcile()
			r.kick()
		case <-r.resurvey:
			r.reconcile()
		case <-ticker.C:
			r.scanBlind()
		case <-uncover.C:
			r.askTargets()
			if r.anyCovered() {
				r.coverTargets()
			}
			if root := r.rootPlace(); root.isAway() {
				r.lookBeneath(ctx, root) // No event tells of what comes there.
			}
			if r.unaskedMoved() || r.sourceIsBack() {
				r.mountsChanged()
			}
		}
	}
	r.background.Wait()
	return nil
}

func (r *Replicator) startLocked(u *unit) {
	if r.ctx == nil || r.dry {
		return
	}
	ctx := r.ctx
	u.running.Store(true)
	r.background.Go(func() {
		defer u.running.Store(false)
		u.run(ctx)
	})
}

// Busy names the replicas that Run has not ended yet.
func (r *Replicator) Busy() (names []string) {
	for _, u := range r.allUnits() {
		if u.running.Load() {
			names = append(names, fmt.Sprintf("%s on %s", r.label(u.place), weir.LogPath(u.target.Path())))
		}
	}
	return names
}

// scanBlind asks for a scan of the places whose volumes report no events, and notes where the last one has not come to its end.
func (r *Replicator) scanBlind() {
	for _, u := range r.allUnits() {
		if _, volume, _ := u.place.at(); volume != nil && volume.Info().Sight < weir.SightFull {
			u.mu.Lock()
			wanted := u.scan.wanted || u.status.scanning
			u.mu.Unlock()
			if !wanted {
				u.scanWanted(scanRequest{reason: reasonBlind})
				r.mountsHinted() // A rename of what a mount is in is not seen either.
			}
		}
	}
	r.noteOverdue()
}

// sourcePath returns the absolute path of a place.
func (r *Replicator) sourcePath(rel string) string {
	if rel == "" {
		return r.options.Source
	}
	return filepath.Join(r.options.Source, rel)
}

// throttle waits until n bytes may be read.
func (r *Replicator) throttle(ctx context.Context, n int) error {
	if r.limiter == nil {
		return nil
	}
	for n > 0 {
		part := min(n, r.limiter.Burst())
		if err := r.limiter.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// changed says that the status may have changed.
func (r *Replicator) changed() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// Changed returns a channel that gets a token after the status has changed. One reader is supported.
func (r *Replicator) Changed() <-chan struct{} { return r.signal }

// unitID is the number of a unit's namespace in the index.
func unitID(t *target.Target, place uint32) uint32 { return uint32(t.Number())<<16 | place }

// newUnit makes the unit of a place on a target.
func (r *Replicator) newUnit(t *target.Target, p *place) (*unit, error) {
	u := &unit{
		r: r, place: p, target: t, ix: r.options.Index.Replica(unitID(t, p.id)), wake: make(chan struct{}, 1),
		settle: make(map[weir.Handle]settling),
	}
	u.barrier.u = u
	if err := u.load(); err != nil {
		return nil, fmt.Errorf("load the state of %s: %w", weir.QuotePath(r.sourcePath(p.rel)), err)
	}
	u.bulk = newBulk(u)
	u.seenEpoch, _ = t.Epochs()
	u.scan = scanRequest{wanted: true, audit: true, full: u.owesContent(), reason: "weir has started"}
	return u, nil
}
