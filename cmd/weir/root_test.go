package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
)

// weirRun runs one command line as a user would.
func weirRun(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

func TestEveryCommandHelpsItsUser(t *testing.T) {
	walk(newRootCommand(), func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		name := strings.Join(path, " ")
		for _, args := range [][]string{append(path, "--help"), append([]string{"help"}, path...)} {
			status, out, err := weirRun(args...)
			if status != 0 || err != "" {
				t.Errorf("weir %v: status %d, %s", args, status, err)
			}
			for _, want := range []string{"Usage:", "Examples:", "Exit status:\n  0"} {
				if !strings.Contains(out, want) {
					t.Errorf("weir %v does not print %q:\n%s", args, want, out)
				}
			}
			if likeValue := regexp.MustCompile(`(?m)^ +(?:-\w, )?--[a-z-]+ [a-z].*? {3}`).FindAllString(out, -1); len(likeValue) > 0 {
				t.Errorf("weir %v: what stands for a value looks like one: %q", args, likeValue)
			}
		}
		if plain := name == "version" || name == "completion"; plain && strings.Contains(c.Annotations[exitKey], "replicated") {
			t.Errorf("weir %s replicates nothing:\n%s", name, c.Annotations[exitKey])
		}
		if c.Short == "" || c.Runnable() && c.RunE == nil {
			t.Errorf("weir %s: lacks a summary, or cannot return an error", name)
		}
	})
}

func TestBadCommandLinesAreRefusedOnce(t *testing.T) {
	for _, args := range [][]string{
		{"mirrror"},
		{"--nonsense"},
		{"version", "--nonsense"},
		{"version", "extra"},
		{"completion"},
		{"completion", "tcsh"},
		{"help", "nonsense"},
		{"help", "version", "extra"},
	} {
		status, out, err := weirRun(args...)
		if status != 2 {
			t.Errorf("weir %v: status %d, want 2", args, status)
		}
		if out != "" || !strings.HasPrefix(err, "weir: ") || strings.Count(err, "\n") != 1 || strings.Count(err, "read the command line") != 1 {
			t.Errorf("weir %v: prints %q and %q, want one line on standard error", args, out, err)
		}
		if !strings.Contains(err, "--help") {
			t.Errorf("weir %v: does not say where to look: %s", args, err)
		}
	}
}

func TestBadIntervalsAreExplained(t *testing.T) {
	for value, why := range map[string]string{"": "it is empty", "10": "such as 500ms, 10s or 1m30s", "fast": "such as 500ms", "-1s": "at least 100ms", "99ms": "at least 100ms"} {
		status, out, err := weirRun("mirror", "--scan-interval", value, t.TempDir(), t.TempDir())
		if status != 2 || out != "" || !strings.HasPrefix(err, "weir: use --scan-interval") || !strings.Contains(err, why) || strings.Count(err, "\n") != 1 {
			t.Errorf("%q: status %d, %s%s", value, status, out, err)
		}
	}
}

func TestCompletionNamesCommands(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if status, out, err := weirRun("completion", shell); status != 0 || !strings.Contains(out, "weir") {
			t.Errorf("%s: status %d, %s", shell, status, err)
		}
	}
	if _, out, _ := weirRun("__complete", "ver"); !strings.Contains(out, "version\t") {
		t.Errorf("weir ver<TAB> offers %q", out)
	}
	for typed, want := range map[string]string{
		"help ":              "advisory\nattach\ncompletion\ncoverage\ndetach\ndoctor\nexplain\nfilters\nframes\nhelp\ninstances\nload\nmirror\nmount\nunload\nverify\nversion\nvolumes\nwatch\n:4\n",
		"mirror --replaced ": "hold\nmerge\nmirror\n:4\n", "mirror --progress ": "auto\nalways\nnever\n:4\n", "mirror ": ":16\n",
		"mirror --bwlimit ": ":4\n", "mirror --state ": ":16\n",
	} {
		if _, out, _ := weirRun(append([]string{"__complete"}, strings.Split(typed, " ")...)...); out != want {
			t.Errorf("weir %s<TAB> offers %q", typed, out)
		}
	}
}

func TestVersionIsJSONWhenAsked(t *testing.T) {
	_, line, _ := weirRun("version")
	_, object, _ := weirRun("version", "--json")
	var v version
	if err := json.Unmarshal([]byte(object), &v); err != nil {
		t.Fatal(err)
	}
	if line != v.String()+"\n" || !strings.HasPrefix(line, "weir ") {
		t.Errorf("%q and %+v", line, v)
	}
}

func TestToldKeepsTheStatusAlone(t *testing.T) {
	differs := fmt.Errorf("compare: %w", &weir.Error{Op: "verify", Kind: weir.KindDiffers})
	var marked *toldError
	if err := told(differs); weir.KindOf(err).ExitStatus() != 1 || !errors.As(err, &marked) {
		t.Errorf("told(%v) = %v", differs, err)
	}
	if told(nil) != nil {
		t.Error("told(nil) is an error")
	}
}
