package policy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// gitIgnored asks git which of the paths a .gitignore of the patterns excludes. It is an oracle that
// shares nothing with this package.
func gitIgnored(t failer, dir string, patterns, paths []string) map[string]bool {
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(strings.Join(patterns, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := makePath(dir, path); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("git", "-C", dir, "check-ignore", "-z", "--stdin", "--no-index")
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "HOME=/nonexistent")
	// What is a directory git sees for itself; given "a/", it takes a/* to match that. A colon in front is magic.
	asked := map[string]string{}
	var stdin strings.Builder
	for _, path := range paths {
		ask := "./" + strings.TrimSuffix(path, "/")
		asked[ask] = path
		stdin.WriteString(ask + "\x00")
	}
	cmd.Stdin = strings.NewReader(stdin.String())
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil && stderr.Len() > 0 {
		t.Fatal(err, stderr.String())
	}
	ignored := map[string]bool{}
	for path := range strings.SplitSeq(out.String(), "\x00") {
		ignored[asked[path]] = true
	}
	return ignored
}

func makePath(dir, path string) error {
	full := filepath.Join(dir, path)
	if strings.HasSuffix(path, "/") {
		return os.MkdirAll(full, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, nil, 0o644)
}

func gitRepository(t failer, dir string) string {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("this test compares with git, which is missing")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	return dir
}

// TestRulesAgreeWithGit checks the table itself: what it expects is what git does, but where git matches
// bytes and weir characters.
func TestRulesAgreeWithGit(t *testing.T) {
	base := t.TempDir()
	for _, c := range rulesCases {
		if !isASCII(c.patterns) {
			continue
		}
		dir := gitRepository(t, filepath.Join(base, t.Name()))
		if got := gitIgnored(t, dir, strings.Fields(c.patterns), []string{c.path})[c.path]; got != c.excluded {
			t.Errorf("%q, %q: git says %v", c.patterns, c.path, got)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}

// TestRulesLikeGit draws rule sets and judges every path of a small tree as git does.
func TestRulesLikeGit(t *testing.T) {
	dir := gitRepository(t, t.TempDir())
	paths := smallTree()
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(drawPattern(), 1, 5).Draw(t, "patterns")
		rules, err := ParseRules(patterns)
		if err != nil {
			t.Skip(err)
		}
		ignored := gitIgnored(t, dir, patterns, paths)
		for _, path := range paths {
			name, isDir := strings.CutSuffix(path, "/")
			if got := rules.Excluded(name, isDir); got != ignored[path] {
				t.Fatalf("%q, %q: excluded %v, git says %v", patterns, path, got, ignored[path])
			}
		}
	})
}

// TestClassesLikeGit asks of each POSIX class which single bytes are in it.
func TestClassesLikeGit(t *testing.T) {
	dir := gitRepository(t, t.TempDir())
	var names []string
	for c := 1; c < 256; c++ {
		if c != '/' && c != '.' {
			names = append(names, string([]byte{byte(c)}))
		}
	}
	for _, class := range []string{
		"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit",
	} {
		for _, pattern := range []string{"[[:" + class + ":]]", "[^[:" + class + ":]]"} {
			rules, ignored := mustRules(t, pattern), gitIgnored(t, dir, []string{pattern}, names)
			for _, name := range names {
				if got := rules.Excluded(name, false); got != ignored[name] {
					t.Errorf("%s, %q: excluded %v, git says %v", pattern, name, got, ignored[name])
				}
			}
		}
	}
}

// smallTree is every path of up to three components of three names.
func smallTree() []string {
	var paths []string
	names := []string{"a", "b", "ab"}
	for _, x := range names {
		paths = append(paths, x+"/")
		for _, y := range names {
			paths = append(paths, x+"/"+y+"/")
			for _, z := range names {
				paths = append(paths, x+"/"+y+"/"+z)
			}
		}
	}
	return append(paths, "c", "a/c", "a/b/c")
}

func drawPattern() *rapid.Generator[string] {
	component := rapid.SampledFrom([]string{"a", "b", "ab", "c", "*", "**", "?", "a*", "*b", "[ab]", "[!a]", "[[:alpha:]]", "[![:lower:]]*", "[]a]", "??", "a**b", `\a`})
	return rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "!"}).Draw(t, "not") +
			rapid.SampledFrom([]string{"", "/"}).Draw(t, "front") +
			strings.Join(rapid.SliceOfN(component, 1, 4).Draw(t, "components"), "/") +
			rapid.SampledFrom([]string{"", "/"}).Draw(t, "back")
	})
}
