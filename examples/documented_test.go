package examples

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

// What docs/filters.md shows stands in the examples, or in their tests, word by word. A whole program is run.
func TestDocumentedCodeIsThatOfTheExamples(t *testing.T) {
	all := strings.Join(slices.Collect(maps.Values(sources(t))), "\n")
	blocks := strings.Split(manual(t), "```go\n")[1:]
	for _, block := range blocks {
		code, _, closed := strings.Cut(block, "```")
		if !closed || !strings.Contains(all, code) && !strings.HasPrefix(code, "package main\n") {
			t.Errorf("not in an example:\n%s", code)
		}
	}
	if len(blocks) == 0 {
		t.Error("no code is shown")
	}
}

// Who writes down the first filter of docs/filters.md, and no more than that page has, gets one that compiles.
func TestDocumentedFilterCompiles(t *testing.T) {
	_, section, _ := strings.Cut(manual(t), "## A filter that observes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	code := "package tally\n\nimport (\n\t\"context\"\n\t\"sync\"\n\n\t\"github.com/weirfs/weir\"\n)\n"
	for _, block := range strings.Split(section, "```go\n")[1:] {
		shown, _, _ := strings.Cut(block, "```")
		code += "\n" + shown
	}
	file := filepath.Join(t.TempDir(), "tally.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// The whole program of docs/filters.md keeps its filter on the volumes of this machine, and ends when it is told to.
func TestDocumentedProgramRuns(t *testing.T) {
	voltest.RequireRoot(t)
	_, code, _ := strings.Cut(manual(t), "```go\npackage main\n")
	code, _, _ = strings.Cut(code, "```")
	dir, state := t.TempDir(), t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte("package main\n"+code), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, do := range [][]string{{"vet", file}, {"build", "-o", program, file}} {
		if out, err := exec.CommandContext(t.Context(), "go", do...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	v := voltest.New(t, "ext4")
	run := exec.CommandContext(t.Context(), program, state)
	var told strings.Builder
	run.Stderr = &told
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	attached := func() bool {
		text, _ := os.ReadFile(filepath.Join(state, "ledger"))
		return strings.Contains(string(text), v.Dir) && strings.Contains(string(text), `"state":"attached"`)
	}
	for until := time.Now().Add(20 * time.Second); !attached() && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	there := attached()
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := run.Wait(); err != nil || !there {
		t.Errorf("attached: %v; it ended with %v, and told:\n%s", there, err, told.String())
	}
}

// Every example is short, and documented.
func TestExamplesAreShort(t *testing.T) {
	text := manual(t)
	for file, source := range sources(t) {
		if n := strings.Count(source, "\n"); n >= 100 {
			t.Errorf("%s has %d lines", file, n)
		}
		if !strings.HasSuffix(file, "_test.go") && !strings.Contains(text, "../examples/"+file) {
			t.Errorf("%s is not in docs/filters.md", file)
		}
	}
}

func manual(t *testing.T) string { return read(t, "../docs/filters.md") }

// sources returns the text of the examples and of their tests, by file.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		texts[file] = read(t, file)
	}
	return texts
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
