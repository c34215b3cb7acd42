package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/internal/sys/process"
	"github.com/weirfs/weir/manager"
)

// StopTimeout is how long a mirror may take to end after it was asked to. Most of it is for what has been seen to
// become durable; what is left is for goroutines to end, which takes milliseconds unless one hangs in the kernel.
const (
	StopTimeout = 5 * time.Second
	drainTime   = 3700 * time.Millisecond
	grace       = 300 * time.Millisecond
)

// teardownTime is how long the manager may take to let go of volumes, of which some may not answer.
const teardownTime = 2 * time.Second

// task is a goroutine that may never end, because a file system holds it fast.
type task struct {
	done chan struct{}
	err  error // valid once done is closed
}

func begin(run func() error) *task {
	t := &task{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = run()
	}()
	return t
}

func (t *task) wait() error {
	<-t.done
	return t.err
}

func (t *task) endsWithin(patience time.Duration) bool {
	select {
	case <-t.done:
		return true
	case <-time.After(patience):
	}
	select {
	case <-t.done: // Of a patience that is over the channel may tell first.
		return true
	default:
		return false
	}
}

// Run mirrors until ctx ends. With once it returns as soon as everything that could be done is done and
// durable, apart from what changes after the replicas have been compared: a source need not rest for that. The error of a
// mirror that was interrupted before a target had passed the barrier is of KindBehind; that of one that could not
// replicate everything is of KindDiffers.
//
// It returns within StopTimeout of the end of ctx, also if a volume hangs: its goroutines are then left behind.
func (m *Mirror) Run(ctx context.Context, once bool) error {
	apart := context.WithoutCancel(ctx)
	working, endWork := context.WithCancel(apart)
	managing, endManaging := context.WithCancel(apart)
	defer endManaging()
	defer endWork()
	work := begin(func() error { return m.replicator.Run(working) })
	manage := begin(func() error { return m.manager.Run(managing) })
	listed := begin(func() error { return m.listed(working) })
	served := begin(func() error { return m.serve(working) })
	var watch *task
	if m.stuck != nil {
		watch = begin(func() error { return m.watchStuck(working) })
	}

	err := m.wait(ctx, work, manage, once)
	if m.final.Load() == nil { // What is taken down from here on is no news of the mirror.
		status := m.status()
		m.final.Store(&status)
	}
	endWork()
	together := time.Now().Add(grace)
	for _, t := range []*task{work, listed, watch} {
		m.end(t, time.Until(together), m.replicator.Busy)
	}
	m.end(served, time.Until(together), func() []string { return []string{"an answer on the control socket"} })
	endManaging()
	patience := teardownTime
	if !m.endBy.IsZero() {
		patience = min(patience, max(time.Until(m.endBy), grace))
	}
	m.end(manage, patience, func() []string { return append(m.manager.Busy(), m.watcher.Asked()...) })
	return err
}

// end waits for a goroutine that was told to end. All that is to be told of the mirror itself was told before, so
// that its error is no more than a note.
func (m *Mirror) end(t *task, patience time.Duration, busy func() []string) {
	switch {
	case t == nil:
	case !t.endsWithin(patience):
		m.hangs = true
		m.options.Logger.Warn("what hangs in the kernel is left behind", "busy", strings.Join(busy(), "; "))
	case t.err != nil && !errors.Is(t.err, context.Canceled):
		m.options.Logger.Warn("not everything ended as it should", "error", t.err)
	}
}

// listed tells the replicator once every volume that was there at the start has had its chance.
func (m *Mirror) listed(ctx context.Context) error {
	if err := m.manager.Wait(ctx, manager.Snapshot.Settled); err != nil {
		return err
	}
	m.replicator.Listed()
	return nil
}

// watchStuck waits for the end of a former engine. The one system call that it was in has then been carried out,
// perhaps on a name that was replicated since.
func (m *Mirror) watchStuck(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for m.stuck.State() != process.Gone {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	m.options.Logger.Info("the former process has ended", "pid", m.stuck.PID)
	m.replicator.Audit("a former process of this mirror has only now ended")
	return nil
}

// wait returns when the mirror is done, or has been asked to end and has passed its barriers.
func (m *Mirror) wait(ctx context.Context, work, manage *task, once bool) error {
	look := time.Second // at the health of the index
	if once {
		look = 10 * time.Millisecond // whether all is done
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	compared := false
	for {
		select {
		case <-work.done:
			return fmt.Errorf("the replicator has ended: %w", work.err)
		case <-manage.done:
			return fmt.Errorf("the manager has ended: %w", manage.err)
		case <-ctx.Done():
			return m.drain(manage)
		case <-ticker.C:
		}
		if err := m.index.Health(); errors.Is(err, index.ErrFailed) || errors.Is(err, index.ErrDamaged) {
			return &weir.Error{Op: "keep the state", Kind: weir.KindFailed, Path: m.options.State, Err: err,
				Hint: "see to its disk and start again; what the replicas hold is found out by comparing them"}
		}
		if !once {
			m.hurry()
			continue
		}
		if !compared && m.replicator.Compared() {
			compared = true
			m.replicator.Drain()
		}
		if settled, failed := m.replicator.Settled(); settled && m.rests() {
			return m.verdict(failed)
		}
	}
}

// rests keeps the status as the last one if no replica is being worked on in it: on a busy volume something may have
// come since that was asked for.
func (m *Mirror) rests() bool {
	status := m.status()
	for _, u := range status.Units {
		if u.Phase == replicate.PhaseCopying || u.Phase == replicate.PhaseComparing {
			return false
		}
	}
	m.final.Store(&status)
	return true
}

// hurry ends the idle priority when the first comparison and copy are done.
func (m *Mirror) hurry() {
	if !m.options.Idle {
		return
	}
	if settled, _ := m.replicator.Settled(); !settled {
		return
	}
	m.options.Idle = false
	if err := process.Normal(); err != nil {
		m.options.Logger.Warn("I/O stays at idle priority", "error", err)
		return
	}
	m.options.Logger.Info("the first copy is done: I/O goes on at normal priority")
}

// drain waits until what has been seen is durable, for as long as that may take, and hardly for a target that is not
// there.
func (m *Mirror) drain(manage *task) error {
	m.replicator.Drain()
	begun := time.Now()
	deadline := begun.Add(drainTime)
	m.endBy = begun.Add(StopTimeout - 2*grace)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	blind := m.blind()
	for {
		left := m.replicator.Behind()
		m.tellBehind(m.inOrder(left, blind))
		if len(left) == 0 && m.rests() {
			return behindIfAny(blind, notSeen)
		}
		select {
		case <-ticker.C:
			if time.Now().Before(deadline) && (time.Since(begun) < grace || !m.replicator.Stranded()) {
				continue
			}
		case <-manage.done:
		}
		if len(left) == 0 {
			return behindIfAny(blind, notSeen)
		}
		return behind(m.inOrder(left, blind), notDurable)
	}
}

// blind returns the targets on which a place has its replica of which nothing is seen although it is there: somebody has
// taken the filter from it.
func (m *Mirror) blind() (targets []string) {
	for _, u := range m.status().Units {
		if u.Phase == replicate.PhaseDetached {
			targets = append(targets, u.Target)
		}
	}
	return m.inOrder(targets, nil)
}

// inOrder returns the targets that are in one of two lists, each once.
func (m *Mirror) inOrder(a, b []string) (list []string) {
	for _, path := range m.options.Targets {
		if slices.Contains(a, path) || slices.Contains(b, path) {
			list = append(list, path)
		}
	}
	return list
}

// tellBehind passes on by number which targets are behind, when that has changed.
func (m *Mirror) tellBehind(left []string) {
	numbers := []int{} // Not nil: that none is behind is news as well.
	for _, path := range left {
		numbers = append(numbers, slices.Index(m.options.Targets, path))
	}
	if m.told == nil || !slices.Equal(numbers, m.told) {
		m.told = numbers
		m.options.Engine.behind(numbers)
	}
}

// Why targets are left behind.
const (
	tooSoon    = "weir was stopped before it had looked at"
	notDurable = "not everything is durable on"
	notSeen    = "the filter was taken from a part of the source, and what has changed there since is not on"
)

func behindIfAny(targets []string, why string) error {
	if len(targets) == 0 {
		return nil
	}
	return behind(targets, why)
}

// behind says why targets are left behind.
func behind(targets []string, why string) error {
	return &weir.Error{Op: "stop", Kind: weir.KindBehind, Err: fmt.Errorf("%s %s", why, list(targets)),
		Hint: "the next start goes on from what is durable"}
}
