package vmtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// weirEnv names the weir to test; without it the tests build one.
const weirEnv = "WEIR_VM_WEIR"

// mirror is a weir mirror that the test starts, stops and kills.
type mirror struct {
	t       *testing.T
	program string
	flags   []string
	source  string
	targets []string
	state   string
	process *exec.Cmd
	out     voltest.Output
}

// weirProgram returns the weir to test.
func weirProgram(t *testing.T) string {
	t.Helper()
	if path := os.Getenv(weirEnv); path != "" {
		return path
	}
	return goBuild(t, "cmd/weir")
}

// newMirror returns a mirror that does not run.
func newMirror(t *testing.T, weir []string, source string, targets ...string) *mirror {
	t.Helper()
	m := &mirror{
		t: t, program: weir[0], flags: weir[1:], source: source, targets: targets,
		state: filepath.Join(t.TempDir(), "state"),
	}
	t.Cleanup(func() {
		if m.process != nil {
			m.kill()
		}
		if t.Failed() {
			t.Log(m.output())
		}
	})
	return m
}

func (m *mirror) output() string { return m.out.String() }

// start starts weir and returns how long it took to say of every replica that it is in sync.
func (m *mirror) start() time.Duration {
	m.t.Helper()
	args := append(append([]string{"mirror", "--state", m.state}, m.flags...), m.source)
	m.process = exec.Command(m.program, append(args, m.targets...)...)
	m.process.Stdout, m.process.Stderr = &m.out, &m.out
	before, begun := strings.Count(m.output(), inSync), time.Now()
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.await("to say that it is in sync", func() bool {
		return strings.Count(m.output(), inSync) >= before+len(m.targets)
	})
	return time.Since(begun)
}

const inSync = `msg="in sync"`

// stop ends weir as a user does, and wants to hear that every replica is durable.
func (m *mirror) stop() {
	m.t.Helper()
	m.signal(m.process.Process.Pid, syscall.SIGTERM)
	if err := m.process.Wait(); err != nil {
		m.t.Errorf("weir ended with %v", err)
	}
	m.process = nil
}

// kill ends both processes of weir without a warning.
func (m *mirror) kill() {
	m.t.Helper()
	if pid := m.engine(); pid > 0 {
		m.signal(pid, syscall.SIGKILL)
	}
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
	m.process = nil
}

// killDuring kills weir after a while, and returns when work has ended too.
func (m *mirror) killDuring(after time.Duration, work func()) {
	m.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(after)
		m.kill()
	}()
	defer func() { <-done }()
	work()
}

// engine returns the id of the process that does the work, which has signed in with it.
func (m *mirror) engine() int {
	var id struct{ PID int }
	text, err := os.ReadFile(filepath.Join(m.state, "engine.json"))
	if err != nil || json.Unmarshal(text, &id) != nil {
		return 0
	}
	return id.PID
}

func (m *mirror) signal(pid int, s syscall.Signal) {
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		m.t.Errorf("signal %v: %v", s, err)
	}
}

const patience = 30 * time.Second

// await waits until done.
func (m *mirror) await(what string, done func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited %v for weir %s\n%s", patience, what, processes(m.program))
		}
	}
}

// equal waits until every replica equals the source.
func (m *mirror) equal(when string) {
	m.t.Helper()
	begun := time.Now()
	for _, target := range m.targets {
		var text string
		for {
			differences, err := comparer.Compare(m.source, target, comparer.Options{})
			if err == nil && len(differences) == 0 {
				break
			}
			text = fmt.Sprint(err)
			for _, d := range differences[:min(10, len(differences))] {
				text += "\n" + d.String()
			}
			if time.Since(begun) > patience {
				m.t.Fatalf("%s: %s differs: %s", when, target, text)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	m.t.Logf("equal %s, after %v", when, time.Since(begun).Round(time.Millisecond))
}

// arrival returns how long it takes until a file that has just been made is on the first target.
func (m *mirror) arrival(path string) time.Duration {
	m.t.Helper()
	begun := time.Now()
	relative, err := filepath.Rel(m.source, path)
	if err != nil {
		m.t.Fatal(err)
	}
	m.await("to copy "+path, func() bool {
		_, err := os.Lstat(filepath.Join(m.targets[0], relative))
		return err == nil
	})
	return time.Since(begun)
}
