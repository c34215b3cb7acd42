package examples

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What docs/filters.md shows stands in the examples, or in their tests, word by word.
func TestDocumentedCodeIsThatOfTheExamples(t *testing.T) {
	all := strings.Join(slices.Collect(maps.Values(sources(t))), "\n")
	blocks := strings.Split(manual(t), "```go\n")[1:]
	for _, block := range blocks {
		code, _, closed := strings.Cut(block, "```")
		if !closed || !strings.Contains(all, code) {
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
