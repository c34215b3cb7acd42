package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

func TestIdleMirrorEndsAtOnce(t *testing.T) {
	s := newStage(t)
	for _, whole := range []bool{false, true} { // as a terminal does, the signal goes to both processes
		p := s.mirror()
		pid := p.cmd.Process.Pid
		if whole {
			pid = -pid
		}
		if err := unix.Kill(pid, unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.ends(0, time.Second)
		if out := p.output(); strings.Contains(out, "absent") || strings.Contains(out, "WARN") {
			t.Errorf("a clean end is told as something else:\n%s", out)
		}
	}
}

// TestFrozenTargetIsLeftBehind stops weir while a target's file system is frozen, so that a thread that writes
// there cannot end, and starts it again.
func TestFrozenTargetIsLeftBehind(t *testing.T) {
	s := newStage(t)
	s.write("first")
	p := s.mirror()
	thaw := voltest.Freeze(t, s.frozen)
	s.write("second")
	s.arrives("second", s.good)
	p.signal(syscall.SIGTERM)
	p.ends(3, 6*time.Second)
	told, _, _ := strings.Cut(p.output()[strings.LastIndex(p.output(), "weir: stop:"):], "\n")
	if !strings.Contains(told, s.frozen) || strings.Contains(told, s.good) {
		t.Errorf("the last words do not name the frozen target alone: %s", told)
	}
	s.goesOnBeside(s.engine(), thaw)
}

// TestKilledWhileATargetIsFrozen kills weir while a thread of it cannot die.
func TestKilledWhileATargetIsFrozen(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	thaw := voltest.Freeze(t, s.frozen)
	s.write("second")
	s.arrives("second", s.good)
	p.signal(syscall.SIGKILL)
	<-p.done
	s.goesOnBeside(s.engine(), thaw)
}

// goesOnBeside starts weir beside a former engine that hangs, and thaws the target that this hangs at.
func (s *stage) goesOnBeside(former int, thaw func()) {
	t := s.t
	t.Helper()
	if !lives(former) {
		t.Error("the engine does not hang, so nothing was tested")
	}

	again := startWeir(t, s.args()...)
	again.says("a target does not answer", 1)
	s.write("third")
	s.arrives("third", s.good)
	if out := again.output(); !strings.Contains(out, fmt.Sprint("pid=", former)) {
		t.Errorf("it does not tell of the process that hangs:\n%s", out)
	}

	thaw()
	s.arrives("second", s.frozen)
	s.arrives("third", s.frozen)
	again.says("the former process has ended", 1)
	if lives(former) {
		t.Error("the former engine lives on")
	}
	again.signal(syscall.SIGTERM)
	again.ends(0, 2*time.Second)
	if status, out, _ := weirRun("verify", "--content", s.source, s.frozen); status != 0 {
		t.Errorf("the replica differs: %s", out)
	}
}

// TestFrozenTargetDoesNotKeepAStart stops weir again while it has not got beyond opening a target.
func TestFrozenTargetDoesNotKeepAStart(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	p.signal(syscall.SIGTERM)
	p.ends(0, time.Second)
	voltest.Freeze(t, s.frozen)
	p = startWeir(t, s.args()...)
	p.says(`msg="in sync"`, 1)
	p.signal(syscall.SIGTERM)
	p.ends(3, 2*time.Second)
}

func TestSecondInterruptEndsAtOnce(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	voltest.Freeze(t, s.frozen)
	s.write("file")
	s.arrives("file", s.good)
	p.signal(syscall.SIGINT)
	time.Sleep(time.Second) // By then the engine has told which targets are behind, also on a busy machine.
	p.signal(syscall.SIGINT)
	p.ends(3, time.Second)
	if out := p.output(); !strings.Contains(out, "interrupted twice; not everything is durable on "+s.frozen+";") {
		t.Errorf("says\n%s", out)
	}
}

// TestInterruptAfterAnotherSignalIsNoSecondOne interrupts a weir that was terminated: it may take its time yet.
func TestInterruptAfterAnotherSignalIsNoSecondOne(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	voltest.Freeze(t, s.frozen)
	s.write("file")
	s.arrives("file", s.good)
	p.signal(syscall.SIGTERM)
	time.Sleep(time.Second)
	p.signal(syscall.SIGINT)
	p.ends(3, 5*time.Second)
	if out := p.output(); strings.Contains(out, "interrupted twice") {
		t.Errorf("says\n%s", out)
	}
}

// TestMuteEngineHasNamedWhoIsBehind stops an engine that has told which targets are behind.
func TestMuteEngineHasNamedWhoIsBehind(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	voltest.Freeze(t, s.frozen)
	s.write("file")
	s.arrives("file", s.good)
	p.signal(syscall.SIGTERM)
	time.Sleep(time.Second)
	s.stopEngine()
	p.ends(3, 6*time.Second)
	if out := p.output(); !strings.Contains(out, "it has not ended within 5s; not everything is durable on "+s.frozen+";") {
		t.Errorf("says\n%s", out)
	}
}

func TestEngineEndsWithItsSupervisor(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	engine := s.engine()
	if engine == p.cmd.Process.Pid {
		t.Fatal("the engine holds the lock itself")
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	eventually(t, 2*time.Second, func() error {
		if lives(engine) {
			return errors.New("the engine lives on")
		}
		return nil
	})
	s.mirror()
}

func TestSupervisorTellsOfADeadEngine(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	if err := unix.Kill(s.engine(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.ends(3, time.Second)
	if out := p.output(); !strings.Contains(out, "the engine has died: signal: killed") {
		t.Errorf("says\n%s", out)
	}
}

func TestSupervisorDoesNotWaitForAMuteEngine(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	s.stopEngine()
	p.signal(syscall.SIGTERM)
	p.ends(3, 6*time.Second)
	if out := p.output(); !strings.Contains(out, "so it is not known whether all is durable on "+s.frozen+", "+s.good) {
		t.Errorf("says\n%s", out)
	}
	s.mirror()
}

func TestStateInUseIsRefused(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	second := startWeir(t, s.args()...)
	second.ends(2, 2*time.Second)
	if out := second.output(); !strings.Contains(out, fmt.Sprint("in use by process ", p.cmd.Process.Pid)) {
		t.Errorf("the process is not named: %s", out)
	}
	s.write("file")
	s.arrives("file", s.good)
}

// TestFrozenStateIsNamed has the state directory on a file system that does not answer, where whoever writes cannot be
// ended.
func TestFrozenStateIsNamed(t *testing.T) {
	s := newStage(t)
	s.state = filepath.Join(voltest.New(t, "ext4").Dir, "state")
	p := s.mirror()
	p.signal(syscall.SIGTERM)
	p.ends(0, 2*time.Second)
	thaw := voltest.Freeze(t, filepath.Dir(s.state))
	p = startWeir(t, s.args()...)
	p.ends(3, 17*time.Second)
	if out := p.output(); !strings.Contains(out, "weir: use state directory "+s.state+": it does not answer within 15s") {
		t.Errorf("says\n%s", out)
	}
	p = startWeir(t, s.args()...) // beside the one that hangs
	time.Sleep(300 * time.Millisecond)
	p.signal(syscall.SIGINT)
	p.ends(3, 6*time.Second)
	thaw()
	s.write("file")
	s.mirror()
	s.arrives("file", s.frozen)
}

// TestOneRunDoesNotGiveUpEarly has many volumes to meet, of which the source's may be the last.
func TestOneRunDoesNotGiveUpEarly(t *testing.T) {
	s := newStage(t)
	for n := range 5 {
		s.write(fmt.Sprint("file", n))
		p := startWeir(t, s.args("--once", "--json")...)
		p.ends(0, 10*time.Second)
		if out := p.output(); strings.Contains(out, "absent") || strings.Count(out[strings.Index(out, `"event":"end"`):], `"phase":"in sync"`) != 2 {
			t.Errorf("the end is told wrongly:\n%s", out)
		}
	}
}

func TestOneRunSaysThatItsSourceIsAbsent(t *testing.T) {
	s := newStage(t)
	p := startWeir(t, s.args("--once")...)
	p.ends(0, 10*time.Second)
	if err := os.Remove(s.source); err != nil {
		t.Fatal(err)
	}
	p = startWeir(t, s.args("--once")...)
	p.ends(1, 10*time.Second)
	if out := p.output(); !strings.Contains(out, "source absent") {
		t.Errorf("says\n%s", out)
	}
}

func TestAbsentTargetHardlyKeepsAStop(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	if err := os.Rename(s.frozen, s.frozen+".away"); err != nil {
		t.Fatal(err)
	}
	s.write("file")
	p.says(`msg="target absent"`, 1)
	p.signal(syscall.SIGTERM)
	p.ends(3, 2*time.Second)
	if out := p.output(); !strings.Contains(out, "weir: stop: not everything is durable on "+s.frozen+";") {
		t.Errorf("says\n%s", out)
	}
}

// TestStopWhileStarting stops weir at some moments of its start: it ends in time, and its status is true.
func TestStopWhileStarting(t *testing.T) {
	s := newStage(t)
	for n := range 8 {
		name := fmt.Sprint("file", n)
		s.write(name)
		p := startWeir(t, s.args()...)
		time.Sleep(time.Duration(n) * 25 * time.Millisecond)
		p.signal(syscall.SIGTERM)
		<-p.done
		switch status := p.cmd.ProcessState.ExitCode(); status {
		case 3:
			if out := p.output(); !strings.Contains(out, "weir: stop: weir was stopped before") {
				t.Errorf("exit status 3\n%s", out)
			}
		case 0:
			if _, err := os.Stat(s.good + "/" + name); err != nil {
				t.Errorf("it ended with 0, and %v\n%s", err, p.output())
			}
		case -1: // before the program had come to ask for signals
		default:
			t.Errorf("exit status %d\n%s", status, p.output())
		}
	}
}
