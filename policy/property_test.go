package policy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// drawName draws a file name of any bytes but NUL and slash.
func drawName() *rapid.Generator[string] {
	odd := rapid.SampledFrom([]string{"*", "?", "[", "]", "{", "}", "\\", "!", "^", "-", "\xff", "\xc3", "\xa4", "ä", "\n", "a", "\U0010fd01", "\U0010feff", "\ufffd"})
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "odd") {
			return strings.Join(rapid.SliceOfN(odd, 1, 6).Draw(t, "name"), "")
		}
		b := rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "bytes")
		for i := range b {
			if b[i] == 0 || b[i] == '/' {
				b[i] = '_'
			}
		}
		return string(b)
	}).Filter(func(s string) bool { return s != "." && s != ".." })
}

// literally returns the pattern of a name itself.
func literally(name string) string {
	return "/" + strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `!`, `\!`).Replace(name)
}

// TestLiteralPatterns: an escaped name matches itself and nothing else, and a wildcard behind it changes
// nothing about the name itself.
func TestLiteralPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawName().Draw(t, "a"), drawName().Draw(t, "b")
		for _, pattern := range []string{literally(a), literally(a) + "*", "/*" + literally(a)[1:]} {
			rules, err := ParseRules([]string{pattern})
			if err != nil {
				if strings.ContainsFunc(a, func(r rune) bool { return r >= reserved }) {
					return
				}
				t.Fatal(err)
			}
			if !rules.Excluded(a, false) {
				t.Fatalf("%q does not match %q", pattern, a)
			}
			if want := a == b; !strings.Contains(b, a) && rules.Excluded(b, false) != want {
				t.Fatalf("%q matches %q", pattern, b)
			}
		}
	})
}

// TestRulesAreInherited: what is in an excluded directory is excluded, a rule at the end decides over all
// before it, and the name alone is enough where NeedsPath says so.
func TestRulesAreInherited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, err := ParseRules(rapid.SliceOfN(drawPattern(), 0, 6).Draw(t, "patterns"))
		if err != nil {
			t.Skip(err)
		}
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "c"}), 1, 5).Draw(t, "path")
		path, name := strings.Join(names, "/"), names[len(names)-1]
		dir := rapid.Bool().Draw(t, "dir")
		if rules.Excluded(path, true) && !rules.Excluded(path+"/x", dir) {
			t.Fatalf("%q is excluded and %q is not", path, path+"/x")
		}
		if !rules.NeedsPath() && rules.ExcludedEntry(path, dir) != rules.ExcludedEntry(name, dir) {
			t.Fatalf("the path of %q matters", path)
		}
		all := mustRules(t, append(rules.Patterns(), "*")...)
		if !all.ExcludedEntry(path, dir) {
			t.Fatal("the last rule does not decide")
		}
		none := mustRules(t, append(rules.Patterns(), "!*")...)
		if none.Excluded(path, dir) {
			t.Fatal("the last rule does not decide")
		}
	})
}

func FuzzParseRules(f *testing.F) {
	for _, c := range rulesCases {
		f.Add(strings.ReplaceAll(c.patterns, " ", "\n"), c.path)
	}
	f.Add("[\xff-\xff]\n\xc3", "\xff/\U0010feff")
	f.Fuzz(func(t *testing.T, patterns, path string) {
		rules, err := ParseRules(strings.Split(patterns, "\n"))
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error is not fit for a terminal: %q", err)
			}
			return
		}
		if rules.Excluded(path, true) && !rules.Excluded(path+"/x", false) && path != "" {
			t.Errorf("%q excludes %q and not what is in it", patterns, path)
		}
		again, err := ParseRules(rules.Patterns())
		if err != nil || again.Fingerprint() != rules.Fingerprint() {
			t.Errorf("%q reads differently the second time", patterns)
		}
	})
}

func BenchmarkExcluded(b *testing.B) {
	const path = "home/user/project/src/package/file.go"
	for _, c := range []struct{ name, patterns string }{
		{"none", ""},
		{"names", "*.o *.tmp node_modules/ .cache/"},
		{"paths", "/home/*/.cache **/build/** !**/keep *.o"},
	} {
		rules := mustRules(b, strings.Fields(c.patterns)...)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Excluded(path, false)
			}
		})
	}
}

func BenchmarkExcludedDeep(b *testing.B) {
	rules := mustRules(b, "/home/*/.cache", "**/build/**", "*.o")
	path := strings.Repeat("d/", 1000) + "file"
	for b.Loop() {
		rules.Excluded(path, false)
	}
}
