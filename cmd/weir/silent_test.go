package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// silence has a file system hang that a process serves, and waits until the kernel has nothing of it at hand any more.
func silence(t *testing.T, server *os.Process) (resume func()) {
	t.Helper()
	resume = voltest.Hang(t, server)
	time.Sleep(1100 * time.Millisecond) // bindfs lets attributes be kept for a second.
	return resume
}

// asksNobody fails if a thread of the process waits for a file system that a process serves.
func asksNobody(t *testing.T, pid int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, task := range tasks {
		if where, _ := os.ReadFile(task); strings.Contains(string(where), "request_wait_answer") {
			t.Errorf("%s waits in %s", task, where)
		}
	}
}

// TestSilentTargetKeepsNoStart starts weir while a process that serves a target does not answer, which is a network drive or
// an sshfs whose server is gone: the other target is served, and whatever is asked of weir is done, in less time than a new
// target has.
func TestSilentTargetKeepsNoStart(t *testing.T) {
	for name, at := range map[string]string{"the mount itself": "", "below it": "deep/replica", "by a link": "link"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			mounted := filepath.Join(t.TempDir(), "served")
			server := voltest.Bindfs(t, t.TempDir(), mounted)
			s.frozen = filepath.Join(mounted, at)
			if at == "link" {
				s.frozen = filepath.Join(t.TempDir(), "link")
				if err := os.Symlink(mounted, s.frozen); err != nil {
					t.Fatal(err)
				}
			} else if err := os.MkdirAll(filepath.Dir(s.frozen), 0o755); err != nil {
				t.Fatal(err)
			}
			p := s.mirror()
			p.signal(syscall.SIGTERM)
			p.ends(0, daemon.StopTimeout)
			s.keepsNoStart(silence(t, server))
		})
	}
}

func (s *stage) keepsNoStart(resume func()) {
	t := s.t
	t.Helper()
	s.write("once")
	p := startWeir(t, s.args("--once")...)
	p.ends(1, replicate.NewPatience)
	s.arrives("once", s.good)
	if out := p.output(); !strings.Contains(out, "target absent: it does not answer") {
		t.Errorf("says\n%s", out)
	}

	p = startWeir(t, s.args("--dry-run")...)
	p.ends(0, replicate.NewPatience)
	if out := p.output(); strings.Count(out, "it does not answer") != 1 || !strings.Contains(out, s.good+": nothing to do") {
		t.Errorf("a dry run says\n%s", out)
	}

	p = startWeir(t, "verify", s.source, s.frozen)
	time.Sleep(300 * time.Millisecond)
	p.signal(syscall.SIGTERM)
	p.ends(2, daemon.StopTimeout)

	p = startWeir(t, s.args()...)
	p.says(`msg="in sync"`, 1)
	asksNobody(t, p.cmd.Process.Pid)
	s.write("followed")
	s.arrives("followed", s.good)
	p.signal(syscall.SIGTERM)
	p.ends(3, 6*time.Second)

	p = startWeir(t, s.args()...)
	p.says(`msg="in sync"`, 1)
	resume()
	s.arrives("once", s.frozen)
	s.arrives("followed", s.frozen)
	p.signal(syscall.SIGTERM)
	p.ends(0, daemon.StopTimeout)
}

// TestSilentTargetThatIsNewIsRefused names a file system that has never been replicated and does not answer: as the source
// or as a target it is refused, but not before it has had some time; and a signal ends that.
func TestSilentTargetThatIsNewIsRefused(t *testing.T) {
	s := newStage(t)
	mounted := filepath.Join(t.TempDir(), "served")
	s.frozen = filepath.Join(mounted, "replica")
	server := voltest.Bindfs(t, t.TempDir(), mounted)
	silence(t, server)
	stopped := startWeir(t, "mirror", "--state", s.state+"3", s.source, mounted)
	stopped.says("does not answer; weir waits for it a little longer", 1)
	asksNobody(t, stopped.cmd.Process.Pid)
	stopped.signal(syscall.SIGTERM)
	stopped.ends(3, daemon.StopTimeout) // By itself: its supervisor would end it then.
	refused := map[string]*weirProcess{
		"use target " + s.frozen: startWeir(t, s.args("--once")...),
		"use source " + mounted:  startWeir(t, "mirror", "--state", s.state+"2", mounted, t.TempDir()),
	}
	for says, p := range refused {
		p.ends(2, 25*time.Second)
		if out := p.output(); !strings.Contains(out, "weir: "+says+": it does not answer; ") {
			t.Errorf("says\n%s", out)
		}
	}
	if _, err := os.Stat(s.good); err == nil {
		t.Error("the other target was made")
	}
}

// TestSilentSourceIsWaitedFor starts weir while a process that serves its source does not answer.
func TestSilentSourceIsWaitedFor(t *testing.T) {
	s := newStage(t)
	served := s.source
	s.source = filepath.Join(t.TempDir(), "source")
	server := voltest.Bindfs(t, served, s.source)
	s.write("first")
	p := s.mirror()
	p.signal(syscall.SIGTERM)
	p.ends(0, daemon.StopTimeout)
	resume := silence(t, server)

	p = startWeir(t, s.args()...)
	p.says(`reason="it does not answer" todo="see whether `, 2)
	asksNobody(t, p.cmd.Process.Pid)
	p.signal(syscall.SIGTERM)
	p.ends(3, 6*time.Second)
	p = startWeir(t, s.args("--dry-run")...)
	time.Sleep(500 * time.Millisecond)
	p.signal(syscall.SIGTERM)
	p.ends(3, daemon.StopTimeout)

	for _, flag := range []string{"--once", "--dry-run"} {
		p = startWeir(t, s.args(flag)...)
		p.ends(2, replicate.NewPatience+10*time.Second)
		if out := p.output(); !strings.Contains(out, "weir: use source "+s.source+": it does not answer; see whether ") {
			t.Errorf("%s says\n%s", flag, out)
		}
	}

	p = startWeir(t, s.args()...)
	time.Sleep(2 * time.Second)
	resume()
	p.says(`msg="in sync"`, 2)
	s.write("second")
	p.signal(syscall.SIGTERM)
	p.ends(0, daemon.StopTimeout)
}
