package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// terminal is a pseudo terminal that keeps what is written to it.
type terminal struct {
	voltest.Output
	user *os.File // the side that programs write to
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	main, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { main.Close() })
	number, err := unix.IoctlGetInt(int(main.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(main.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(main.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 400})
	}
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	term := &terminal{user: user}
	go func() { _, _ = io.Copy(term, main) }() // It ends with an error when the terminal is closed.
	return term
}

// TestLiveView runs weir on a terminal, with file names that would command it.
func TestLiveView(t *testing.T) {
	voltest.RequireRoot(t)
	dir := t.TempDir()
	source, target := filepath.Join(dir, "s"), filepath.Join(dir, "t")
	for _, name := range []string{"bad\x1b[31m\x1b]0;title\x07", "line\nfeed", "\xff\x9b2J", "rtl\u202e"} {
		if err := os.MkdirAll(source, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, name), bytes.Repeat([]byte("x"), 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(target, "stray\x1b[2J"), 0o755); err != nil {
		t.Fatal(err)
	}
	screen := newTerminal(t)
	cmd := weirCommand("mirror", "--adopt", "--bwlimit", "1M", "--state", filepath.Join(dir, "st"), source, target)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdout, cmd.Stderr = screen.user, screen.user
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	for _, want := range []string{`backlog \d+, lag \d`, `\d files copied, [0-9.]*[1-9][0-9.]* .?i?B/s, .* read, .* written`, `copying .* -> `, `in sync .* 5 files`} {
		eventually(t, 20*time.Second, func() error {
			if !regexp.MustCompile(want).MatchString(screen.String()) {
				return fmt.Errorf("no %q on the terminal", want)
			}
			return nil
		})
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v\n%q", err, screen)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("weir does not end")
	}
	own := regexp.MustCompile(`\x1b\[\d+A\x1b\[J`)
	rest := strings.ReplaceAll(own.ReplaceAllString(screen.String(), ""), "\r\n", "\n")
	for _, bad := range []string{"\x1b", "\x07", "\x9b", "\u202e", "\r"} {
		if strings.Contains(rest, bad) {
			t.Errorf("%q has come to the terminal:\n%q", bad, rest)
		}
	}
}

// TestDumbTerminal gets lines of the log, and nothing that moves a cursor.
func TestDumbTerminal(t *testing.T) {
	s := newStage(t)
	for _, kind := range []string{"dumb", ""} {
		screen := newTerminal(t)
		cmd := weirCommand(s.args("--once")...)
		cmd.Env = append(cmd.Env, "TERM="+kind)
		cmd.Stdout, cmd.Stderr = screen.user, screen.user
		if err := cmd.Run(); err != nil {
			t.Errorf("%v\n%s", err, screen)
		}
		eventually(t, time.Second, func() error {
			if !strings.Contains(screen.String(), "in sync") {
				return errors.New("no line of the log")
			}
			return nil
		})
		if strings.Contains(screen.String(), "\x1b") {
			t.Errorf("TERM=%s: %q", kind, screen)
		}
	}
}

func TestNewsOfPhases(t *testing.T) {
	r := new(shown)
	start := time.Unix(1000, 0)
	for i, step := range []struct {
		at    time.Duration
		phase replicate.Phase
		told  bool
		lag   time.Duration
	}{
		{-5, replicate.PhaseWaiting, false, 0}, // The volumes are being listed,
		{-4, replicate.PhaseWaiting, false, 0},
		{-3, replicate.PhaseWaiting, true, 0}, // which takes no two seconds.
		{0, replicate.PhaseComparing, true, 0},
		{1, replicate.PhaseCopying, true, 0},
		{2, replicate.PhaseCopying, false, 0},
		{3, replicate.PhaseInSync, true, 0},
		{4, replicate.PhaseCopying, false, 0}, // A change every second is no news,
		{5, replicate.PhaseInSync, false, 0},
		{6, replicate.PhaseCopying, false, 0},
		{17, replicate.PhaseCopying, true, 0}, // but copying without an end is.
		{18, replicate.PhaseInSync, true, 0},
		{19, replicate.PhaseFull, true, 0},
		{20, replicate.PhaseCopying, true, 0},
		{21, replicate.PhaseInSync, true, 0},
		{22, replicate.PhaseCopying, false, 1},
		{23, replicate.PhaseCopying, true, 2}, // Nor is it true any more that the replica is in sync.
	} {
		now, u := start.Add(step.at*time.Second), replicate.UnitStatus{Phase: step.phase}
		if step.lag > 0 {
			u.Since = now.Add(-step.lag * time.Second)
		}
		if got := r.news(u, now); got != step.told {
			t.Errorf("step %d, %s: told %v", i, step.phase, got)
		}
	}
}

// TestBandwidthLimit measures what a limit does over time, with large and small files.
func TestBandwidthLimit(t *testing.T) {
	voltest.RequireRoot(t)
	dir := t.TempDir()
	source, target := filepath.Join(dir, "s"), filepath.Join(dir, "t")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i, size := range []int{9 << 20, 1 << 20, 1 << 20, 100_000, 100_000} {
		total += size
		if err := os.WriteFile(filepath.Join(source, fmt.Sprint(i)), bytes.Repeat([]byte{byte(i + 1)}, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const rate = 4 << 20
	begun := time.Now()
	if status, out, err := weirOnce(t, "--bwlimit", "4M", "--low-priority", "--state", filepath.Join(dir, "st"), source, target); status != 0 {
		t.Fatalf("status %d: %s%s", status, out, err)
	}
	took := time.Since(begun)
	least := time.Duration(float64(total-1<<20) / rate * float64(time.Second)) // One burst is free.
	if took < least*9/10 || took > 2*least+5*time.Second {
		t.Errorf("%d bytes at %d a second took %v, want about %v", total, rate, took, least)
	}
}

// weirOnce runs one mirror to its end, as a process.
func weirOnce(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := weirCommand(append([]string{"mirror", "--once"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // The status says it.
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestJSONIsComplete has trouble of each kind in one run, and finds all of it in the last line.
func TestJSONIsComplete(t *testing.T) {
	voltest.RequireRoot(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "s")
	target := voltest.New(t, "exfat").Dir
	if err := os.MkdirAll(filepath.Join(source, "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	voltest.New(t, "tmpfs", voltest.At(filepath.Join(source, "m")))
	for _, name := range []string{"new\nline", "\xff", "plain"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(target, "stray"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	status, out, errs := weirOnce(t, "--json", "--adopt", "--one-volume", "--state", filepath.Join(dir, "st"), source, target)
	if status != 1 || !strings.HasPrefix(errs, "weir: mirror: 2 paths") {
		t.Errorf("status %d: %s", status, errs)
	}
	events := make(map[string]map[string]any)
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if name, ok := object["event"].(string); ok {
			events[name] = object
		} else if object["msg"] == nil {
			t.Errorf("neither event nor log: %s", lines.Text())
		}
	}
	if events["phase"] == nil || events["target"] == nil || events["end"] == nil {
		t.Fatalf("events %v", events)
	}
	text, err := json.Marshal(events["end"]["status"])
	var s replicate.Status
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Aside) != 1 || s.Aside[0].Path != "stray" || s.Aside[0].Target != target {
		t.Errorf("set aside: %+v", s.Aside)
	} else if _, err := os.Stat(filepath.Join(target, s.Aside[0].Now)); err != nil {
		t.Errorf("what was set aside: %v", err)
	}
	for _, want := range []string{
		`"path":"\"new\\nline\""`, `"path":"\"\\xff\""`, `"not_followed":[{"path":"m","reason":"left out by --one-volume"}]`,
		`"missing":["owners"`, `"files_copied":1`, `"phase":"in sync"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// TestAbsenceIsToldAnew has a source be absent in one way and then in another.
func TestAbsenceIsToldAnew(t *testing.T) {
	r, now := &shown{}, time.Now()
	absent := func(reason string) bool {
		return r.news(replicate.UnitStatus{Phase: replicate.PhaseSourceAbsent, Reason: reason}, now)
	}
	if !absent("bare") || absent("bare") || !absent("no directory") || absent("no directory") {
		t.Error("each reason is to be told once")
	}
	if !r.news(replicate.UnitStatus{Phase: replicate.PhaseInSync}, now) || !absent("no directory") {
		t.Error("a phase that has come anew is to be told")
	}
}
