package policy

import (
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

// failer is what *testing.T, *testing.B and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func mustRules(t failer, patterns ...string) Rules {
	t.Helper()
	r, err := ParseRules(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rulesCases are patterns, a path (a directory if it ends with a slash), and whether it is excluded. git
// judges those that it can, see TestRulesAgreeWithGit.
var rulesCases = []struct {
	patterns string // separated by blanks
	path     string
	excluded bool
}{
	{"", "a", false},
	{"*.o", "a.o", true},
	{"*.o", "x/y/a.o", true},
	{"*.o", "a.o/deep/file", true},
	{"*.o", ".o", true},
	{"*.o", "a.oo", false},
	{"/a", "a", true},
	{"/a", "x/a", false},
	{"a/b", "a/b", true},
	{"a/b", "x/a/b", false},
	{"**/a/b", "x/a/b", true},
	{"**/a/b", "a/b", true},
	{"a/", "a", false},
	{"a/", "a/", true},
	{"a/", "x/a/", true},
	{"a/", "x/a/file", true},
	{"a/b/", "a/b/c", true},
	{"a/*/b", "a/x/b", true},
	{"a/*/b", "a/b", false},
	{"a/*/b", "a/x/y/b", false},
	{"a/**/b", "a/b", true},
	{"a/**/b", "a/x/y/b", true},
	{"a/**/b", "a/x/y/c", false},
	{"a/**", "a/", false},
	{"a/**", "a/b", true},
	{"a/**", "a/b/c", true},
	{"/**", "a", true},
	{"**", "a/b", true},
	{"**/", "a", false},
	{"**/", "a/", true},
	{"**/", "a/b", true},
	{"a**b", "axyb", true},
	{"/x/a**b", "x/a/b", false},
	{"**/a/**/b/**", "a/a/b/b", true},
	{"**/a/**/b/**", "a/a/b", false},
	{"?", "a", true},
	{"?", "ab", false},
	{"a?b/c", "a/b/c", false},
	{"[a-c]x", "bx", true},
	{"[!a-c]x", "bx", false},
	{"[^a-c]x", "dx", true},
	{"[a-]x", "-x", true},
	{`[\]]x`, "]x", true},
	{`[\-a]x`, "-x", true},
	{"[[:alpha:]]1", "a1", true},
	{"[[:alpha:]]1", "11", false},
	{"[[:alpha:]]1", ":1", false},
	{"[![:alpha:]]1", "-1", true},
	{"[^[:digit:]x]", "x", false},
	{"[^[:digit:]x]", "y", true},
	{"[_[:upper:][:digit:]-]*", "Bx", true},
	{"[_[:upper:][:digit:]-]*", "-x", true},
	{"[_[:upper:][:digit:]-]*", "bx", false},
	{"[[:digit:]-a]", "-", true},
	{"[[:digit:]-a]", ":", false},
	{"[[:x]", "[", true},
	{"[[:x]", "x", true},
	{"[[:]", ":", true},
	{"[[:]]", ":]", true},
	{"[:alpha:]", "h", true},
	{"[:alpha:]", "b", false},
	{"[]a]x", "]x", true},
	{"[]a]x", "ax", true},
	{"[]a]x", "bx", false},
	{"[!]a]x", "]x", false},
	{"[!]a]x", "bx", true},
	{"[]-_]", "^", true},
	{"[a-c-e]", "d", false},
	{"[a-c-e]", "-", true},
	{"a[!x]b", "a/b", false},
	{"x/a[!x]b", "x/a/b", false},
	{`\*`, "*", true},
	{`\*`, "a", false},
	{`\!a`, "!a", true},
	{`\a`, "a", true},
	{"a{b,c}", "ab", false},
	{"a{b,c}", "a{b,c}", true},
	{"}", "}", true},
	{"{*", "{x", true},
	{"*.o !a.o", "a.o", false},
	{"*.o !a.o", "b.o", true},
	{"!a.o *.o", "a.o", true},
	{"x/ !x/keep", "x/keep", true},
	{"x/* !x/keep", "x/keep", false},
	{"x/* !x/keep", "x/other", true},
	{"* !*/ !*.c", "d/e/f.c", false},
	{"* !*/ !*.c", "d/e/f.o", true},
	{"/* !/a", "a/b", false},
	{"/* !/a", "c/b", true},
	{"A", "a", false},
	{"ä?", "äö", true},
	{"*[!é]", "é", false},
	{"[à-é]", "ä", true},
}

func TestRules(t *testing.T) {
	for _, c := range rulesCases {
		r := mustRules(t, strings.Fields(c.patterns)...)
		path, dir := strings.CutSuffix(c.path, "/")
		if got := r.Excluded(path, dir); got != c.excluded {
			t.Errorf("%q, %q: excluded %v, want %v", c.patterns, c.path, got, c.excluded)
		}
	}
}

func TestRulesAnyBytes(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		excluded      bool
	}{
		{"\xff", "\xff", true},
		{"\xff", "\xfe", false},
		{"\xff*", "\xffa", true},
		{"\xff*", "\xfea", false},
		{"\xff*", "\ufffda", false},
		{"\ufffd*", "\xffa", false},
		{"\ufffd*", "\ufffda", true},
		{"?", "\xff", true},
		{"??", "\xc3\x28", true},
		{"[\xfe-\xff]", "\xff", true},
		{"[\xff-\xff]", "\xff", true},
		{"[\xff-\xff]", "-", false},
		{"[!a]", "\xff", true},
		{"*\xe4*", "\xc3\xa4", false}, // half of a character is not the character
		{"[\xff]", "\U0010feff", false},
		{"?", "\U0010feff", true},
		{"a*b", "a\nb", true},
		{"a\nb", "x/a\nb", true},
		{"*", "\x1b[2J", true},
		{" ", " ", true},
		{"#a", "#a", true},
		{"a ", "a", false},
	} {
		if got := mustRules(t, c.pattern).Excluded(c.path, false); got != c.excluded {
			t.Errorf("%q, %q: excluded %v, want %v", c.pattern, c.path, got, c.excluded)
		}
	}
}

func TestRulesErrors(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"", "column 1: nothing to match"},
		{"/", "column 2: nothing to match"},
		{"!", "column 2: nothing to match"},
		{"a//b", "column 3: nothing to match"},
		{"a//", "column 3: nothing to match"},
		{"ä/[b", "column 3: the character class is not closed"},
		{"[", "column 1: the character class is not closed"},
		{"[!", "column 1: the character class is not closed"},
		{"[]", "column 1: the character class is not closed"},
		{"[!]", "column 1: the character class is not closed"},
		{"x[[:letter:]]", "column 3: no character class has this name"},
		{"[[:alpha:]", "column 1: the character class is not closed"},
		{"[a-[:digit:]]", "column 2: the range runs backwards"},
		{"[a/b]", "column 1: the character class is not closed"},
		{"x[z-a]", "column 3: the range runs backwards"},
		{`ab\`, "column 3: a backslash at the end"},
		{`[\`, "column 2: a backslash at the end"},
		{`a\/b`, "column 2: no name holds"},
		{"a\x00", "column 2: no name holds"},
		{"../a", "column 1: no file has this name"},
		{"a/.", "column 3: no file has this name"},
		{"\U0010fffe", "column 1: no name holds"},
	} {
		_, err := ParseRules([]string{"fine", c.pattern})
		if err == nil || !strings.Contains(err.Error(), c.want) || weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%q: %v, want %q", c.pattern, err, c.want)
		}
	}
}

func TestNeedsPath(t *testing.T) {
	for _, c := range []struct {
		patterns string
		want     bool
	}{{"", false}, {"*.o a/ **", false}, {"*.o /a", true}, {"a/b", true}, {"**/a", true}} {
		if got := mustRules(t, strings.Fields(c.patterns)...).NeedsPath(); got != c.want {
			t.Errorf("%q: %v", c.patterns, got)
		}
	}
}

func TestFingerprint(t *testing.T) {
	seen := map[string]string{}
	for _, patterns := range []string{"", "a", "a b", "b a", "ab", "!a", "a/"} {
		print := mustRules(t, strings.Fields(patterns)...).Fingerprint()
		if other, found := seen[print]; found {
			t.Errorf("%q and %q have the same fingerprint", patterns, other)
		}
		seen[print] = patterns
	}
	const golden = "0e6cecd675b41f6e60baffb4a72e4eab"
	if got := mustRules(t, "*.o", "!a.o").Fingerprint(); got != golden {
		t.Errorf("the fingerprint of *.o !a.o has become %s: all replicas will be walked again", got)
	}
}
