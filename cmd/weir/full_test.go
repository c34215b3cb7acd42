package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// fullDevice takes nothing that is written to it.
func fullDevice(t *testing.T) *os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close() })
	return full
}

// TestOutputThatIsFull has what weir tells go nowhere, which is no success.
func TestOutputThatIsFull(t *testing.T) {
	s := newStage(t)
	s.write("file")
	full := fullDevice(t)
	for _, flag := range []string{"--json", "--low-priority", "--dry-run"} {
		var told bytes.Buffer
		cmd := weirCommand(s.args("--once", flag)...)
		cmd.Stdout, cmd.Stderr = full, &told
		_ = cmd.Run() // The status says it.
		if got := cmd.ProcessState.ExitCode(); got != 3 || !strings.Contains(told.String(), "no space left on device") {
			t.Errorf("%s: status %d\n%s", flag, got, &told)
		}
	}
	s.arrives("file", s.good) // Nevertheless.
}

// TestEveryOutputThatIsFull has each command fail that cannot tell its answer.
func TestEveryOutputThatIsFull(t *testing.T) {
	full := fullDevice(t)
	a, b := twins(t)
	for _, line := range []string{
		"", "--help", "--version", "help", "help mirror", "mirror --help", "version", "version --json", "completion bash",
		"completion fish", "completion zsh", "doctor", "doctor --json", "volumes", "volumes --json",
		"verify " + a + " " + b, "verify --json " + a + " " + b, "verify " + a + " " + t.TempDir(),
	} {
		var told bytes.Buffer
		status := run(strings.Fields(line), full, &told)
		if got := told.String(); status != 3 || strings.Count(got, "no space left on device") != 1 || !strings.HasPrefix(got, "weir: write standard output: ") {
			t.Errorf("%q: status %d\n%s", line, status, got)
		}
	}
}

// TestErrorOutputThatIsFull has weir say on standard error what is lost, as every log line is.
func TestErrorOutputThatIsFull(t *testing.T) {
	s := newStage(t)
	cmd := weirCommand(s.args("--once")...)
	cmd.Stderr = fullDevice(t)
	_ = cmd.Run() // The status says it.
	if status := cmd.ProcessState.ExitCode(); status != 3 {
		t.Errorf("status %d", status)
	}
}
