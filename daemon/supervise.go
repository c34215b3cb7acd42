package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	syslock "github.com/weirfs/weir/internal/sys/lock"
	"github.com/weirfs/weir/internal/sys/process"
)

// reapPatience is how long a supervisor waits for an engine that has told how it ends, or was killed.
const reapPatience = 300 * time.Millisecond

// twice is how far apart two interrupts are at least that somebody has sent on purpose: programs such as timeout(1)
// signal a process and then its whole group.
const twice = 200 * time.Millisecond

// supervisor is a process that holds the lock of a state directory while another one, the engine, does the work.
type supervisor struct {
	options Options
	log     *slog.Logger
	process *os.Process
	lock    *os.File // nil until the engine has taken it

	stdout, stderr *Output
	relays         []*relay
	ends           []*os.File // of their pipes, for the engine

	reaped   chan error  // gets one value when the engine has ended
	reported chan report // gets what the engine tells of its end, and is closed with its last word
	signals  chan os.Signal
	locked   chan *os.File // gets the lock
	served   chan struct{} // closed when the engine asks for nothing more

	asked       time.Time // when the first signal came
	interrupted time.Time // when the first interrupt came
	limit       <-chan time.Time
	behind      []string // targets that are behind yet, as the engine has told; nil if it has not
}

// Outcome is how a mirror has ended.
type Outcome struct {
	Status int  // exit status
	Told   bool // whether the engine has told of the end itself
}

func failed(status int, err error) (Outcome, error) { return Outcome{Status: status}, err }

// Supervise starts the calling program again, with the same arguments, as the engine of the mirror, and returns its
// exit status. It claims the targets as the engine asks for it, and keeps the lock of the state directory, which the
// engine takes: no file system is asked here that may hang. It passes a signal to stop on, and returns within
// StopTimeout of it, whatever the engine does: of a thread that hangs in the kernel only the engine dies late. A second
// interrupt ends the engine at once. The engine does not outlive the calling process.
//
// What the engine writes goes to the outputs. One that nobody reads delays the return until a stop was asked for and its
// time is over: what was not read by then is lost, and what is written to that output later is, too. A reader that goes
// away asks to stop like a signal.
//
// The error tells what the engine could not tell itself. The status is right in any case, but for a standard output that
// has lost something.
func Supervise(o Options, stdout, stderr *Output) (Outcome, error) {
	claims, err := openTargets()
	if err != nil {
		return failed(weir.KindOf(err).ExitStatus(), err)
	}
	s := &supervisor{
		options: o, log: o.Logger, stdout: stdout, stderr: stderr, reaped: make(chan error, 1), reported: make(chan report), signals: make(chan os.Signal, 4),
		locked: make(chan *os.File, 1), served: make(chan struct{}),
	}
	defer func() { s.lock.Close() }() // Also of no file.
	defer s.release(claims)
	signal.Notify(s.signals, StopSignals()...)
	defer func() {
		signal.Stop(s.signals)
		signal.Ignore(syscall.SIGPIPE) // Who tells of the end may do so to nobody, and has a status to end with.
	}()
	if err := s.start(claims); err != nil {
		return failed(weir.KindFailed.ExitStatus(), fmt.Errorf("start the engine: %w", err))
	}
	outcome, err := s.wait()
	s.drain()
	if stderr.Lost() != nil {
		outcome.Status = weir.KindFailed.ExitStatus() // There is no telling why.
	}
	return outcome, err
}

// StopSignals lists the signals that ask to stop. Whoever has this process ignore hangups, as nohup(1) does, means it.
func StopSignals() []os.Signal {
	list := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

func (s *supervisor) start(claims *os.File) error {
	out, errs, err := s.passOn()
	if err != nil {
		return err
	}
	defer s.closeEnds()
	reports, write, err := os.Pipe()
	if err != nil {
		return err
	}
	locks, send, err := syslock.Pair()
	if err != nil {
		return errors.Join(err, reports.Close(), write.Close())
	}
	engine := exec.Command("/proc/self/exe", os.Args[1:]...)
	engine.Args[0] = os.Args[0]
	engine.Env = append(os.Environ(), fmt.Sprintf("%s=%d", engineEnv, os.Getpid()))
	engine.Stdout, engine.Stderr = out, errs
	engine.ExtraFiles = []*os.File{write, send} // become reportFD and lockFD
	engine.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The parent-death signal is bound to the thread that starts the child, so this one stays.
		runtime.LockOSThread()
		if err := s.idle(); err != nil {
			started <- err
			return
		}
		err := engine.Start()
		started <- err
		if err == nil {
			s.reaped <- engine.Wait()
			select {}
		}
	}()
	err = <-started
	write.Close()
	send.Close()
	if err != nil {
		return errors.Join(err, reports.Close(), locks.Close())
	}
	s.process = engine.Process
	go s.read(reports)
	go s.take(locks, claims)
	return nil
}

// idle lowers the calling thread's I/O priority if that was asked for; the engine inherits it in every thread.
func (s *supervisor) idle() error {
	if !s.options.Idle {
		return nil
	}
	return process.Idle()
}

func (s *supervisor) wait() (Outcome, error) {
	for {
		select {
		case r, ok := <-s.reported:
			switch {
			case !ok:
				s.reported = nil // It dies without a last word.
			case r.behind != nil:
				s.behind = r.behind
			default:
				s.reap()
				return Outcome{r.status, true}, nil
			}
		case s.lock = <-s.locked:
		case err := <-s.reaped:
			return s.ended(err)
		case sig := <-s.signals:
			if s.stop(sig) {
				s.kill()
				return s.left("interrupted twice")
			}
		case <-s.limit:
			s.kill()
			return s.left(fmt.Sprintf("it has not ended within %v", StopTimeout))
		}
	}
}

// stop asks the engine to end, and reports whether it shall end at once.
func (s *supervisor) stop(sig os.Signal) (atOnce bool) {
	if s.asked.IsZero() {
		s.asked = time.Now()
		s.limit = time.After(StopTimeout)
	}
	if sig == syscall.SIGINT {
		if s.interrupted.IsZero() {
			s.interrupted = time.Now()
		}
		atOnce = time.Since(s.interrupted) > twice
	}
	if !atOnce {
		_ = s.process.Signal(syscall.SIGTERM) // It may have ended just now.
	}
	return atOnce
}

// drain waits for the readers of what the engine has written.
func (s *supervisor) drain() {
	for _, r := range s.relays {
		r.finish()
		for open := true; open; {
			select {
			case <-r.done:
				open = false
			case sig := <-s.signals:
				if s.stop(sig) {
					s.hurry()
				}
			case <-s.limit:
				s.hurry()
			}
		}
	}
}

// hurry has nobody who reads be waited for any more.
func (s *supervisor) hurry() {
	s.stdout.Hurry()
	s.stderr.Hurry()
}

// ended is the status of an engine that has ended, perhaps without a report.
func (s *supervisor) ended(err error) (Outcome, error) {
	if s.reported != nil {
		for r := range s.reported {
			if r.behind == nil {
				return Outcome{r.status, true}, nil
			}
		}
	}
	var exit *exec.ExitError
	if !s.asked.IsZero() && errors.As(err, &exit) && slices.Contains(StopSignals(), os.Signal(exit.Sys().(syscall.WaitStatus).Signal())) {
		return failed(weir.KindBehind.ExitStatus(), behind(s.options.Targets, tooSoon)) // It was not ready for a signal yet.
	}
	if err == nil {
		err = errors.New("it has not said how")
	}
	return failed(weir.KindFailed.ExitStatus(), fmt.Errorf("the engine has died: %w", err))
}

// reap waits a moment for an engine that has told how it ends. If it does not end something hangs in the kernel, which it
// has told of.
func (s *supervisor) reap() {
	select {
	case <-s.reaped:
	case <-time.After(reapPatience):
	}
}

// kill ends an engine that does not end, or must end at once.
func (s *supervisor) kill() {
	s.hurry()
	_ = s.process.Kill() // It may have ended just now.
	select {
	case <-s.reaped:
	case <-time.After(reapPatience):
		s.log.Warn("the engine hangs in the kernel, and ends when that goes on", "pid", s.process.Pid)
	}
}

// left is the status of an engine that was killed because it did not end.
func (s *supervisor) left(why string) (Outcome, error) {
	switch {
	case s.lock == nil:
		return failed(weir.KindBehind.ExitStatus(), behind(s.options.Targets, tooSoon))
	case s.behind == nil:
		return failed(weir.KindBehind.ExitStatus(), behind(s.options.Targets, why+", so it is not known whether all is durable on"))
	case len(s.behind) > 0:
		return failed(weir.KindBehind.ExitStatus(), behind(s.behind, why+"; "+notDurable))
	}
	return Outcome{}, nil // All is durable: the engine was killed while it tidied up.
}
