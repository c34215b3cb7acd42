package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What docs/filters.md shows stands in the examples, or in their tests, word by word.
func TestDocumentedCodeIsThatOfTheExamples(t *testing.T) {
	text, err := os.ReadFile("../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(source))
	}
	all := strings.Join(sources, "\n")
	blocks := strings.Split(string(text), "```go\n")[1:]
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

// Every example is short, and documented.
func TestExamplesAreShort(t *testing.T) {
	text, err := os.ReadFile("../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), "\n"); n >= 100 {
			t.Errorf("%s has %d lines", file, n)
		}
		if !strings.HasSuffix(file, "_test.go") && !strings.Contains(string(text), "../examples/"+file) {
			t.Errorf("%s is not in docs/filters.md", file)
		}
	}
}
