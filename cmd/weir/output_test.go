package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestReaderGoesAway ends weir in order when nobody reads what it tells.
func TestReaderGoesAway(t *testing.T) {
	s := newStage(t)
	s.write("file")
	var told bytes.Buffer
	cmd := weirCommand(s.args("--json")...)
	cmd.Stderr = &told
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"in sync"`) {
	}
	s.arrives("file", s.good)
	out.Close()
	if err := os.Rename(s.good, s.good+".away"); err != nil { // So that there is something to tell.
		t.Fatal(err)
	}
	s.write("other")
	_ = cmd.Wait() // The status says it.
	if got := cmd.ProcessState.ExitCode(); got != 3 || !strings.Contains(told.String(), "write standard output: part of what was to be told is lost") {
		t.Errorf("status %d\n%s", got, &told)
	}
	eventually(t, 2*time.Second, func() error { // It has told how it ends, and need not be waited for.
		if lives(s.engine()) {
			return errors.New("the engine lives on")
		}
		return nil
	})
}

// TestNobodyHearsOfTheEnd ends weir by itself where both outputs lead to one reader, who has gone.
func TestNobodyHearsOfTheEnd(t *testing.T) {
	for _, flag := range []string{"--log-level=info", "--json", "--once"} {
		t.Run(flag, func(t *testing.T) {
			s := newStage(t)
			s.write("file")
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := weirCommand(s.args(flag)...)
			cmd.Stdout, cmd.Stderr = write, write
			if err := errors.Join(cmd.Start(), write.Close(), read.Close()); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // The status says it.
			if got := cmd.ProcessState.ExitCode(); got != 3 {
				t.Errorf("status %d, %s", got, cmd.ProcessState)
			}
		})
	}
}

// TestHangUp ends the session that weir runs in, as a lost connection does.
func TestHangUp(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	if err := unix.Kill(-p.cmd.Process.Pid, unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.ends(0, time.Second)
}

// TestHangUpIsIgnoredWhereItWas runs weir as nohup(1) does.
func TestHangUpIsIgnoredWhereItWas(t *testing.T) {
	s := newStage(t)
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	p := s.mirror()
	if err := unix.Kill(-p.cmd.Process.Pid, unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.write("file")
	s.arrives("file", s.good)
	p.signal(syscall.SIGTERM)
	p.ends(0, time.Second)
}

// TestEndIsTheLastEvent ends weir in ways in which its engine cannot tell of it, or goes on to die.
func TestEndIsTheLastEvent(t *testing.T) {
	for name, test := range map[string]struct {
		stop   func(s *stage, p *weirProcess)
		status int
		why    string
	}{
		"stopped": {func(_ *stage, p *weirProcess) { p.signal(syscall.SIGTERM) }, 0, ""},
		"killed": {func(s *stage, _ *weirProcess) {
			if err := unix.Kill(s.engine(), unix.SIGKILL); err != nil {
				s.t.Fatal(err)
			}
		}, 3, "the engine has died: signal: killed"},
		"frozen": {func(s *stage, p *weirProcess) {
			voltest.Freeze(s.t, s.frozen)
			s.write("file")
			s.arrives("file", s.good)
			p.signal(syscall.SIGTERM)
		}, 3, "not everything is durable on"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			p := startWeir(t, s.args("--json")...)
			p.says(`"phase":"in sync"`, 2)
			test.stop(s, p)
			p.ends(test.status, 6*time.Second)
			p.toldEnd(test.status, test.why)
		})
	}
	t.Run("not begun", func(t *testing.T) {
		s := newStage(t)
		p := s.mirror()
		p.signal(unix.SIGINT)
		p.ends(0, 10*time.Second)
		file := filepath.Join(s.state, "ledger")
		if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
			t.Fatal(err)
		}
		p = startWeir(t, s.args("--json")...)
		p.ends(3, 6*time.Second)
		p.toldEnd(3, "ledger")
	})
}

// toldEnd looks at the last event.
func (p *weirProcess) toldEnd(status int, why string) {
	p.t.Helper()
	var end struct {
		Event string `json:"event"`
		Exit  int    `json:"exit_status"`
		Error string `json:"error"`
	}
	told, _, _ := strings.Cut(p.output(), "weir: ") // Standard error.
	lines := strings.Split(strings.TrimSpace(told), "\n")
	last := lines[len(lines)-1]
	if err := json.Unmarshal([]byte(last), &end); err != nil || end.Event != "end" || end.Exit != status || !strings.Contains(end.Error, why) {
		p.t.Errorf("the last line is %s", last)
	}
}

// TestDryRunLeavesNothing ends a dry run whose reader has gone.
func TestDryRunLeavesNothing(t *testing.T) {
	voltest.RequireRoot(t)
	dir := t.TempDir()
	temporary := filepath.Join(dir, "tmp")
	for _, sub := range []string{"s", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	cmd := weirCommand("mirror", "--dry-run", "--state", filepath.Join(dir, "st"), filepath.Join(dir, "s"), filepath.Join(dir, "t"))
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
	cmd.Stdout = write
	_ = cmd.Run() // The status says it.
	left, err := os.ReadDir(temporary)
	if got := cmd.ProcessState.ExitCode(); got != 3 || err != nil || len(left) > 0 {
		t.Errorf("status %d, %v %v is left", got, err, left)
	}
}

// TestPlaceThatMovesIsGone renames a directory above a mount point.
func TestPlaceThatMovesIsGone(t *testing.T) {
	s := newStage(t)
	before, after := filepath.Join(s.source, "before"), filepath.Join(s.source, "after")
	voltest.New(t, "ext4", voltest.At(filepath.Join(before, "m")))
	t.Cleanup(func() { voltest.Unmount(t, filepath.Join(after, "m")) })
	p := startWeir(t, s.args("--json")...)
	p.says(`"phase":"in sync"`, 4)
	if err := os.Rename(before, after); err != nil {
		t.Fatal(err)
	}
	p.says(`"event":"gone","place":"`+before+`/m"`, 2)
	p.says(`"place":"`+after+`/m"`, 2)
	p.signal(syscall.SIGTERM)
	p.ends(0, 2*time.Second)
}

// TestSlowReaderGetsEverything has one run tell more than pipes hold to somebody who takes his time.
func TestSlowReaderGetsEverything(t *testing.T) {
	s := newStage(t)
	s.write("file")
	if err := os.Mkdir(s.good, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range 400 {
		if err := os.WriteFile(filepath.Join(s.good, fmt.Sprint(strings.Repeat("long", 50), n)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd, out, _ := s.talking("--once", "--adopt")
	var told []byte
	for chunk := make([]byte, 4096); ; time.Sleep(20 * time.Millisecond) {
		n, err := out.Read(chunk)
		told = append(told, chunk[:n]...)
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(string(told)), "\n")
	if last := lines[len(lines)-1]; len(told) < 300_000 || !strings.HasPrefix(last, `{`) || !strings.HasSuffix(last, `}`) || !strings.Contains(last, `"event":"end"`) {
		t.Errorf("%d bytes were told, at last %.100s", len(told), last)
	}
}

// talking starts a mirror that tells in JSON what somebody reads from out, or does not. errs gets the errors, when it has
// ended.
func (s *stage) talking(flags ...string) (cmd *exec.Cmd, out *os.File, errs *voltest.Output) {
	s.t.Helper()
	out, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { out.Close() })
	errs = new(voltest.Output)
	cmd = weirCommand(s.args(append(flags, "--json")...)...)
	cmd.Stdout, cmd.Stderr = write, errs
	err = cmd.Start()
	write.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out, errs
}

// TestReaderStalls has nobody read what weir tells of its end, which it tells in time nevertheless.
func TestReaderStalls(t *testing.T) {
	for name, stall := range map[string]func(s *stage){
		"the engine ends":      func(*stage) {},
		"the engine is killed": func(s *stage) { s.stopEngine() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.write("file")
			cmd, out, errs := s.talking()
			lines := bufio.NewReader(out)
			for synced := 0; synced < 2; {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err, errs)
				}
				if strings.Contains(line, `"in sync"`) {
					synced++
				}
			}
			fill(t, out)
			stall(s)
			begun := time.Now()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatalf("weir does not end\n%s", errs)
			}
			if took := time.Since(begun); took > 7*time.Second {
				t.Errorf("it took %v", took)
			}
			if got := cmd.ProcessState.ExitCode(); got != 3 || !strings.Contains(errs.String(), "write standard output: part of what was to be told is lost") ||
				strings.Contains(errs.String(), "kernel") {
				t.Errorf("status %d\n%s", got, errs)
			}
		})
	}
}

// fill fills the pipe that is read from a file.
func fill(t *testing.T, read *os.File) {
	t.Helper()
	pipe, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", read.Fd()), unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe)
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = unix.Write(pipe, bytes.Repeat([]byte("\n"), size))
		}
		if !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
	}
}

// TestLogNamesPlaces has every line of the log call a place by the path that SOURCE has.
func TestLogNamesPlaces(t *testing.T) {
	s := newStage(t)
	s.write("file")
	_, _, log := weirOnce(t, s.args("--log-level", "debug")[1:]...)
	places := regexp.MustCompile(` place=(\S+)`).FindAllStringSubmatch(log, -1)
	for _, p := range places {
		if p[1] != s.source {
			t.Errorf("place %s, source %s", p[1], s.source)
		}
	}
	if len(places) < 4 { // Followed, compared and in sync, twice.
		t.Error(log)
	}
}
