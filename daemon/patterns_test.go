package daemon

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// ruled is a mirror's source and targets, in which git and weir are given the same patterns.
type ruled struct {
	from, to *voltest.Volume
	n        int
}

// judged is what *testing.T and *rapid.T have in common.
type judged interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree has a mirror replicate a tree that is there when it starts, then the same tree as it is made, with SOURCE a
// volume's root or a directory, and compares what is on the replica with what git does not ignore.
func (r *ruled) agree(t *testing.T, j judged, patterns, paths []string, root bool) {
	j.Helper()
	rules, err := policy.ParseRules(patterns)
	if err != nil {
		j.Fatalf("%v", err)
	}
	r.n++
	source, target := r.from.Dir, filepath.Join(r.to.Dir, fmt.Sprint(r.n))
	if !root {
		source = mkdir(t, filepath.Join(source, fmt.Sprint("source", r.n)))
	}
	defer r.empty(t)
	makePaths(t, source, paths)
	want := notIgnored(t, source, patterns)
	m := start(t, Options{Source: source, Targets: []string{target}, State: filepath.Join(t.TempDir(), "state"), Rules: rules})
	defer func() { _ = m.stop() }()
	check := func(when string, want []string) {
		j.Helper()
		var got []string
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			settled, _ := m.m.replicator.Settled()
			if got = listing(t, target); settled && slices.Equal(got, want) {
				return
			} else if time.Now().After(deadline) {
				j.Fatalf("%q, %s: on the replica, and ignored by git: %q; not on it: %q\n%s", patterns, when, without(got, want), without(want, got), m.log)
			}
		}
	}
	check("there at the start", want)
	for _, path := range listing(t, source) {
		remove(t, filepath.Join(source, path))
	}
	check("removed", nil)
	makePaths(t, source, paths)
	check("made live", want)
}

// without returns what is in one list and not in the other.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// empty makes the source as it was before.
func (r *ruled) empty(t *testing.T) {
	for _, path := range listing(t, r.from.Dir) {
		remove(t, filepath.Join(r.from.Dir, path))
	}
}

// makePaths makes directories, of which the names end with a slash, and files.
func makePaths(t *testing.T, dir string, paths []string) {
	for _, path := range paths {
		full := filepath.Join(dir, path)
		if strings.HasSuffix(path, "/") {
			mkdir(t, full)
			continue
		}
		mkdir(t, filepath.Dir(full))
		write(t, full, "x")
	}
}

// listing returns every path below a directory, in order, but what belongs to weir and to file systems. What vanishes
// meanwhile is left out.
func listing(t testing.TB, dir string) (paths []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || rel == ".":
			return nil
		case rel == ".weir" || rel == "lost+found":
			return filepath.SkipDir
		}
		paths = append(paths, rel)
		return nil
	})
	slices.Sort(paths)
	return paths
}

// notIgnored asks git which paths below a directory no pattern ignores. It shares nothing with weir.
func notIgnored(t *testing.T, dir string, patterns []string) (paths []string) {
	t.Helper()
	base := t.TempDir()
	file := filepath.Join(base, "patterns")
	write(t, file, strings.Join(patterns, "\n")+"\n")
	if err := runTool("git", "init", "-q", filepath.Join(base, "r")); err != nil {
		t.Fatal(err)
	}
	all := listing(t, dir)
	c := exec.Command("git", "--git-dir", filepath.Join(base, "r/.git"), "--work-tree", dir, "-c", "core.excludesFile="+file,
		"-c", "safe.directory=*", "check-ignore", "-z", "--stdin", "--no-index")
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	c.Stdin = strings.NewReader("./" + strings.Join(all, "\x00./") + "\x00")
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	if err := c.Run(); err != nil && stderr.Len() > 0 {
		t.Fatal(err, stderr.String())
	}
	ignored := strings.Split(out.String(), "\x00")
	return slices.DeleteFunc(all, func(path string) bool { return slices.Contains(ignored, "./"+path) })
}

func newRuled(t *testing.T) *ruled {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("this test compares with git, which is missing")
	}
	return &ruled{from: voltest.New(t, "ext4"), to: voltest.New(t, "xfs")}
}

// deepTree has the same few names at every depth.
func deepTree() (paths []string) {
	for _, top := range []string{"", "a/", "b/", "a/b/", "b/a/", "a/b/c/", "a/b/c/a/", "c/c/c/c/"} {
		paths = append(paths, top+"a/", top+"b/", top+"c/", top+"keep", top+"a1", top+"x.o")
	}
	return append(paths, "b/a/file", "#hash", "a/#hash", "new\nline", "ä", "-1")
}

// TestPatternsAsGit compares what is replicated with what git does not ignore.
func TestPatternsAsGit(t *testing.T) {
	r := newRuled(t)
	for n, patterns := range []string{
		"*.o",
		"/a",
		"a/b",
		"a/b/c",
		"/a/b/c/a",
		"a/",
		"b/a/",
		"**/a/b",
		"a/**",
		"a/**/a",
		"a/*/c",
		"/*/*/keep",
		"keep !/a/b/keep",
		"/* !/a",
		"/* !/a /a/* !/a/b /a/b/* !/a/b/c",
		"a/* !a/b",
		"a/b/* !a/b/c a/b/c/* !a/b/c/keep",
		"* !*/ !*.o",
		"b/ !b/keep",
		"[[:alpha:]]1",
		"[![:alpha:]]1",
		"[[:punct:]]*",
		`\#hash`,
		"c/c/c/c/",
		"c/c !c/c",
	} {
		t.Run(strings.ReplaceAll(patterns, "/", "|"), func(t *testing.T) {
			r.agree(t, t, strings.Fields(patterns), deepTree(), n%2 == 0)
		})
	}
}

// TestPatternsAsGitAtRandom draws the patterns and the tree.
func TestPatternsAsGitAtRandom(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("15"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = checks.Value.Set(checks.DefValue) }()
	}
	r := newRuled(t)
	component := rapid.SampledFrom([]string{"a", "b", "ab", "*", "**", "?", "a*", "[ab]", "[!a]", "[[:alpha:]]", "??"})
	pattern := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "!"}).Draw(t, "not") + rapid.SampledFrom([]string{"", "/"}).Draw(t, "front") +
			strings.Join(rapid.SliceOfN(component, 1, 4).Draw(t, "components"), "/") +
			rapid.SampledFrom([]string{"", "/"}).Draw(t, "back")
	})
	name := rapid.SampledFrom([]string{"a", "b", "ab", "1"})
	path := rapid.Custom(func(t *rapid.T) string {
		dirs := strings.Join(rapid.SliceOfN(name, 1, 5).Draw(t, "names"), "/") + "/"
		return dirs + rapid.SampledFrom([]string{"", "file", "a.o"}).Draw(t, "last")
	})
	rapid.Check(t, func(rt *rapid.T) {
		r.agree(t, rt, rapid.SliceOfN(pattern, 1, 5).Draw(rt, "patterns"), rapid.SliceOfN(path, 1, 25).Draw(rt, "paths"),
			rapid.Bool().Draw(rt, "volume root"))
	})
}
