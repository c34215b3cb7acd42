package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/internal/voltest"
)

// asWeirEnv makes the test binary be weir itself. The engine that a mirror starts inherits it.
const asWeirEnv = "WEIR_TEST_IS_WEIR"

func TestMain(m *testing.M) {
	if os.Getenv(asWeirEnv) != "" {
		main()
	}
	if daemon.AsEngine() != nil {
		fmt.Fprintln(os.Stderr, "a test has started a mirror in the process of the tests, and not by startWeir")
		os.Exit(1)
	}
	os.Exit(voltest.Unshared(apart{m}))
}

// apart runs tests whose weirs are not announced to, and do not see, those of the machine.
type apart struct{ *testing.M }

func (m apart) Run() int {
	if os.Geteuid() == 0 {
		err := os.MkdirAll("/run/weir", 0o755)
		if err == nil {
			err = unix.Mount("tmpfs", "/run/weir", "tmpfs", 0, "mode=0755")
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "keep the tests apart:", err)
			return 1
		}
	}
	return m.M.Run()
}

// weirCommand is weir as a process of its own, to be started.
func weirCommand(args ...string) *exec.Cmd { return asWeir(exec.Command("/proc/self/exe", args...)) }

// asWeir has the test binary that a command starts be weir.
func asWeir(cmd *exec.Cmd) *exec.Cmd {
	// The race detector sleeps for a second before its process ends, unless it is told not to.
	cmd.Env = append(os.Environ(), asWeirEnv+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// weirProcess is a running weir. Its output goes through pipes, so that wait also shows that nobody keeps them.
type weirProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	out  voltest.Output
}

func (p *weirProcess) output() string { return p.out.String() }

func startWeir(t *testing.T, args ...string) *weirProcess {
	t.Helper()
	p := &weirProcess{t: t, cmd: weirCommand(args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("weir has said:\n%s", p.output())
		}
	})
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p
}

func (p *weirProcess) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end, and for that of its output, and fails unless it has that exit status.
func (p *weirProcess) ends(status int, within time.Duration) {
	p.t.Helper()
	begun := time.Now()
	select {
	case <-p.done:
	case <-time.After(within + 20*time.Second):
		p.t.Fatalf("weir does not end\n%s", p.output())
	}
	if took := time.Since(begun); took > within {
		p.t.Errorf("weir took %v to end, want %v at most\n%s", took, within, p.output())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d\n%s", got, status, p.output())
	}
}

// refuses starts a mirror that is refused, on one line that matches want, by whichever of its processes.
func refuses(t *testing.T, want string, args ...string) {
	t.Helper()
	p := startWeir(t, args...)
	p.ends(2, 10*time.Second)
	if out := p.output(); strings.Count(out, "\n") != 1 || !strings.Contains(out, ";") || !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("weir %s says, and not on one line %q with what to do:\n%s", args, want, out)
	}
}

// says waits until the output contains text, n times.
func (p *weirProcess) says(text string, n int) {
	p.t.Helper()
	eventually(p.t, 10*time.Second, func() error {
		if out := p.output(); strings.Count(out, text) < n {
			return fmt.Errorf("weir does not say %q %d times:\n%s", text, n, out)
		}
		return nil
	})
}

// eventually waits until try returns nil.
func eventually(t *testing.T, patience time.Duration, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stage is a source with two targets, each on a volume of its own, that can be mirrored.
type stage struct {
	t                           *testing.T
	source, frozen, good, state string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	voltest.RequireRoot(t)
	s := &stage{t: t, source: t.TempDir(), state: filepath.Join(t.TempDir(), "state")}
	s.frozen = filepath.Join(voltest.New(t, "ext4").Dir, "replica")
	s.good = filepath.Join(voltest.New(t, "ext4").Dir, "replica")
	return s
}

func (s *stage) args(flags ...string) []string {
	return append(append([]string{"mirror", "--state", s.state}, flags...), s.source, s.frozen, s.good)
}

// mirror starts a mirror and waits until every replica is in sync.
func (s *stage) mirror() *weirProcess {
	s.t.Helper()
	p := startWeir(s.t, s.args()...)
	p.says(`msg="in sync"`, 2)
	return p
}

func (s *stage) write(name string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.source, name), []byte(name), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// arrives waits until the target has the file.
func (s *stage) arrives(name, target string) {
	s.t.Helper()
	eventually(s.t, 10*time.Second, func() error {
		text, err := os.ReadFile(filepath.Join(target, name))
		if err == nil && string(text) != name {
			err = fmt.Errorf("%s on %s holds %q", name, target, text)
		}
		return err
	})
}

// engine returns the process id of the engine.
func (s *stage) engine() int {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.state, "engine.json"))
	var id struct{ PID int }
	if err == nil {
		err = json.Unmarshal(text, &id)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return id.PID
}

// stopEngine has the engine do nothing any more, and not end either.
func (s *stage) stopEngine() {
	s.t.Helper()
	if err := syscall.Kill(s.engine(), syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
}

// lives reports whether a thread of the process has not ended; the first one of a process that is dying has, long
// before the others.
func lives(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return slices.ContainsFunc(threads, func(stat string) bool {
		text, err := os.ReadFile(stat)
		return err == nil && !strings.Contains(string(text), ") Z ")
	})
}
