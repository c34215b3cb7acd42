package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// run is a piece of work between its claim and its end.
type run struct {
	cancel   context.CancelFunc
	timer    *time.Timer
	instance *instance // that is set up or torn down
}

// keepers says what keeps a teardown from its end.
func (r *run) keepers() []string {
	if r == nil || r.instance == nil {
		return nil
	}
	return r.instance.Keepers()
}

func now() time.Time { return time.Now() }

// do claims work that was offered, carries it out and says how it ended.
func (m *Manager) do(work topology.Work) {
	defer m.running.Done()
	ctx, cancel := context.WithCancel(m.contextOf(work.Kind))
	defer cancel()
	m.mu.Lock()
	start, after := m.claimLocked(work, cancel)
	var in *instance
	if start != nil {
		in = m.instanceLocked(work)
		m.runs[work].instance = in
	}
	m.mu.Unlock()
	carryOut(after)
	if start == nil {
		return
	}
	switch work.Kind {
	case topology.AttachFrame:
		m.attachFrame(ctx, work)
	case topology.DetachFrame:
		m.detachFrame(work)
	case topology.Ask:
		m.ask(ctx, work)
	case topology.SetUp:
		m.setUp(ctx, work, in, start.Setup)
	case topology.TearDown:
		m.tearDown(work, in, start.Teardown)
	}
}

// contextOf returns the parent of the work's context: what builds up ends when a shutdown begins, what
// takes down has the shutdown's time.
func (m *Manager) contextOf(kind topology.WorkKind) context.Context {
	if buildsUp(kind) {
		return m.work
	}
	return m.teardown
}

func buildsUp(kind topology.WorkKind) bool {
	return kind == topology.Ask || kind == topology.SetUp || kind == topology.AttachFrame
}

// claimLocked returns nil if the work is not wanted any more.
func (m *Manager) claimLocked(work topology.Work, cancel context.CancelFunc) (*topology.Start, []func()) {
	var start *topology.Start
	var after []func()
	for _, effect := range m.state.Apply(topology.Claim{Work: work}) {
		if s, ok := effect.(topology.Start); ok {
			start = &s
			continue
		}
		if act := m.carryOutLocked(effect); act != nil {
			after = append(after, act)
		}
	}
	if start != nil {
		r := &run{cancel: cancel}
		if buildsUp(work.Kind) {
			r.timer = time.AfterFunc(m.options.WorkTimeout, func() { m.timeOut(work, r) })
		}
		m.runs[work] = r
		m.recordTakenLocked(work, start)
	}
	return start, after
}

// instanceLocked returns the instance that the work is about.
func (m *Manager) instanceLocked(work topology.Work) *instance {
	pair := work.Pair()
	switch work.Kind {
	case topology.SetUp:
		return m.enlistLocked(pair)
	case topology.TearDown:
		in := m.instances[pair]
		m.delistLocked(in)
		return in
	default:
		return nil
	}
}

// timeOut says that the run takes too long, if it is still the one that runs.
func (m *Manager) timeOut(work topology.Work, r *run) {
	m.mu.Lock()
	var after []func()
	if m.runs[work] == r {
		m.options.Logger.Warn("work does not return", "work", m.describeLocked(work), "after", m.options.WorkTimeout)
		after = m.applyLocked(topology.TimedOut{Work: work, Why: fmt.Sprintf("timeout: it has not returned after %v", m.options.WorkTimeout)})
	}
	m.mu.Unlock()
	carryOut(after)
}

// finish tells how work ended. settle runs under the lock, in the same step.
func (m *Manager) finish(work topology.Work, err error, settle func()) {
	outcome, why := outcomeOf(work.Kind, err)
	m.mu.Lock()
	if r := m.runs[work]; r != nil && r.timer != nil {
		r.timer.Stop()
	}
	delete(m.runs, work)
	settle()
	m.tellLocked(work, outcome, err)
	after := m.applyLocked(topology.Finished{Work: work, Outcome: outcome, Why: why})
	m.mu.Unlock()
	carryOut(after)
}

// tellLocked logs a failure when it is new, and not each time that the same is tried again. That a volume is not there
// is none: its mounts are hidden by others, or it is leaving.
func (m *Manager) tellLocked(work topology.Work, outcome topology.Outcome, err error) {
	if outcome != topology.Failed {
		delete(m.told, work)
		return
	}
	before := m.told[work]
	m.told[work] = err
	if before != nil && before.Error() == err.Error() {
		return
	}
	level := slog.LevelWarn
	if weir.KindOf(err) == weir.KindAbsent || m.state.Stopping() {
		level = slog.LevelDebug
	}
	m.options.Logger.Log(context.Background(), level, "work failed", "work", m.describeLocked(work), "error", err)
}

func outcomeOf(kind topology.WorkKind, err error) (topology.Outcome, string) {
	switch {
	case err == nil:
		return topology.OK, ""
	case (kind == topology.SetUp || kind == topology.Ask) && errors.Is(err, weir.ErrDecline):
		return topology.Declined, strings.TrimPrefix(err.Error(), weir.ErrDecline.Error()+": ")
	case kind == topology.AttachFrame && weir.KindOf(err) == weir.KindUnsupported:
		return topology.Unsupported, err.Error()
	default:
		return topology.Failed, err.Error()
	}
}

func (m *Manager) attachFrame(ctx context.Context, work topology.Work) {
	m.mu.Lock()
	joint := topology.Joint{Frame: work.Frame, Volume: work.Volume}
	v, stack, wants := m.volumes[work.Volume].volume, m.stackLocked(joint), m.demandLocked(joint)
	m.mu.Unlock()
	attachment, err := m.attach(ctx, v, m.verifier.Sink(stack), wants)
	m.finish(work, err, func() {
		if err == nil {
			m.held[joint] = attachment
		}
	})
}

// attach tries the planes in order. Where all of them say that the volume does not accept them, the
// first one's reason stands.
func (m *Manager) attach(ctx context.Context, v weir.Volume, sink weir.Sink, wants weir.Demand) (*held, error) {
	var first error
	for _, plane := range m.options.Planes {
		if wants.Ops&^plane.Reach().Completed != 0 {
			continue
		}
		attachment, err := plane.Attach(ctx, v, wants, sink)
		if err == nil || weir.KindOf(err) != weir.KindUnsupported {
			return &held{Attachment: attachment, plane: plane.Name(), turn: make(chan struct{}, 1), wants: wants}, err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &weir.Error{Op: "attach plane", Kind: weir.KindUnsupported, Err: fmt.Errorf("no plane delivers all of %s", wants.Ops)}
	}
	return nil, first
}

func (m *Manager) detachFrame(work topology.Work) {
	joint := topology.Joint{Frame: work.Frame, Volume: work.Volume}
	m.mu.Lock()
	held := m.held[joint]
	m.mu.Unlock()
	if err := held.Detach(); err != nil {
		m.options.Logger.Warn("plane did not detach cleanly", "volume", work.Volume, "error", err)
	}
	m.finish(work, nil, func() { delete(m.held, joint) })
}

// scheduleLocked asks for the next attempt after a time that doubles.
func (m *Manager) scheduleLocked(r topology.Retry) {
	delay := m.options.RetryMin << min(r.Attempt-1, 30)
	if delay <= 0 || delay > m.options.RetryMax {
		delay = m.options.RetryMax
	}
	if old := m.retries[r.Work]; old != nil {
		old.Stop()
	}
	m.retries[r.Work] = time.AfterFunc(delay, func() { m.apply(topology.RetryDue{Work: r.Work}) })
}

// dropRetriesLocked forgets the timers and the failures of a volume that is gone.
func (m *Manager) dropRetriesLocked(volume weir.VolumeID) {
	for work, timer := range m.retries {
		if work.Volume == volume {
			timer.Stop()
			delete(m.retries, work)
		}
	}
	for work := range m.told {
		if work.Volume == volume {
			delete(m.told, work)
		}
	}
}
