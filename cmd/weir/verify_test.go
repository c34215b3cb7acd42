package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// verifyRun runs the command as main does.
func verifyRun(args ...string) (status int, stdout, stderr string) {
	var out, problems bytes.Buffer
	c := newVerifyCommand()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&problems)
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.Execute(); err != nil {
		return weir.KindOf(err).ExitStatus(), out.String(), problems.String() + err.Error()
	}
	return 0, out.String(), problems.String()
}

// twins makes two equal trees.
func twins(t *testing.T) (a, b string) {
	t.Helper()
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, root := range []string{a, b} {
		for _, name := range []string{"dir/file", "dir/odd\nname", "other"} {
			path := filepath.Join(root, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("text"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		old := time.Unix(1_000_000_000, 1)
		for _, name := range []string{"dir/file", "dir/odd\nname", "other", "dir", "."} {
			if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a, b
}

func TestVerifyExitStatuses(t *testing.T) {
	a, b := twins(t)
	if status, out, problems := verifyRun(a, b); status != 0 || out != "equal: 5 objects compared\n" || problems != "" {
		t.Errorf("status %d: %s%s", status, out, problems)
	}
	if err := os.Chmod(filepath.Join(b, "dir/odd\nname"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ := verifyRun("--content", a, b)
	const want = "\"dir/odd\\nname\": mode: A has 0644, B has 0600\ndifferences: 1, unreadable: 0, objects compared: 5\n"
	if status != 1 || out != want {
		t.Errorf("status %d: %s", status, out)
	}
	for _, args := range [][]string{{a, b + "/missing"}, {b + "/missing", a}, {a, b + "/other"}, {"--nonsense", a, b}} {
		status, out, problems := verifyRun(args...)
		if status == 0 || status == 1 || out != "" || problems == "" {
			t.Errorf("%q: status %d: %s%s", args, status, out, problems)
		}
	}
}

func TestVerifyContentNeedsAsking(t *testing.T) {
	a, b := twins(t)
	path := filepath.Join(b, "other")
	old := time.Unix(1_000_000_000, 1)
	if err := errors.Join(os.WriteFile(path, []byte("tent"), 0o644), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := verifyRun(a, b); status != 0 {
		t.Errorf("status %d: %s", status, out)
	}
	status, out, _ := verifyRun(a, b, "--content")
	if status != 1 || !strings.HasPrefix(out, "other: content: A has 0x78 at byte 2, B has 0x6e at byte 2\n") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestVerifyJSON(t *testing.T) {
	a, b := twins(t)
	if err := os.Mkdir(filepath.Join(b, "\xff"), 0o700); err != nil {
		t.Fatal(err)
	}
	status, out, _ := verifyRun("--json", a, b)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var found bool
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found = found || object["path"] == `"\xff"` && object["what"] == "name" && object["b"] == "a directory"
	}
	var sum tree.CompareResult
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || sum.Differences != 2 || sum.Objects != 5 {
		t.Errorf("%+v, %v", sum, err)
	}
	if status != 1 || !found {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		result tree.CompareResult
		status int
	}{
		{tree.CompareResult{Differences: 1}, 1},
		{tree.CompareResult{Unreadable: 1}, 2},
		{tree.CompareResult{Differences: 1, Unreadable: 1}, 2},
	} {
		if status := weir.KindOf(verdict(test.result)).ExitStatus(); status != test.status {
			t.Errorf("%+v: status %d", test.result, status)
		}
	}
	if verdict(tree.CompareResult{}) != nil {
		t.Error("equal is an error")
	}
}
