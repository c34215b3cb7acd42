package weir

import (
	"log/slog"
	"strings"
	"testing"
)

// TestLogPathIsQuotedOnce reads a path in the records of both handlers of slog.
func TestLogPathIsQuotedOnce(t *testing.T) {
	for _, c := range []struct{ path, text, json string }{
		{"a/b", `path=a/b`, `"path":"a/b"`},
		{"a b", `path="a b"`, `"path":"a b"`},
		{"a\nb", `path="a\nb"`, `"path":"\"a\\nb\""`},
		{"\x1b[31m", `path="\x1b[31m"`, `"path":"\"\\x1b[31m\""`},
		{"\xff", `path="\xff"`, `"path":"\"\\xff\""`},
		{`"`, `path="\""`, `"path":"\"\\\"\""`},
		{"\u202egnp", `path="\u202egnp"`, `"path":"\"\\u202egnp\""`},
	} {
		var text, json strings.Builder
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "path", LogPath(c.path))
		slog.New(slog.NewJSONHandler(&json, nil)).Info("m", "path", LogPath(c.path))
		if !strings.HasSuffix(text.String(), " "+c.text+"\n") {
			t.Errorf("%q as text: %s", c.path, text.String())
		}
		if !strings.HasSuffix(json.String(), ","+c.json+"}\n") {
			t.Errorf("%q as JSON: %s", c.path, json.String())
		}
	}
}

func TestQuotedPathsAreReadBack(t *testing.T) {
	for _, path := range []string{"", "/a b", " a", "a\nb", "\xff", `"`, `"a"`, "a\\b", "\u202egnp", "'"} {
		if got := UnquotePath(QuotePath(path)); got != path {
			t.Errorf("%q is read back as %q", path, got)
		}
	}
}
