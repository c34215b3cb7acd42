package weir

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrorTellsWhatWhyAndWhatToDo(t *testing.T) {
	err := &Error{Op: "use target", Kind: KindRefused, Path: "/a\nb", Err: errors.New("it is full"), Hint: "free some room"}
	if got, want := err.Error(), `use target "/a\nb": it is full; free some room`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if KindOf(fmt.Errorf("around: %w", err)) != KindRefused || KindOf(errors.New("x")) != KindFailed {
		t.Error("the kind is that of the first weir.Error in the chain, else failed")
	}
}

func TestExitStatuses(t *testing.T) {
	for kind, want := range map[Kind]int{KindFailed: 3, KindRefused: 2, KindUnsupported: 2, KindAbsent: 3, KindBehind: 3, KindDiffers: 1} {
		if got := kind.ExitStatus(); got != want {
			t.Errorf("kind %d exits with %d, want %d", kind, got, want)
		}
		text, _ := kind.MarshalText()
		var read Kind
		if err := read.UnmarshalText(text); err != nil || read != kind {
			t.Errorf("%s is read as %s: %v", text, read, err)
		}
	}
}

func TestKindsOfOthersAreRefused(t *testing.T) {
	if err := new(Kind).UnmarshalText([]byte("odd")); err == nil {
		t.Error("odd is a kind")
	}
}

func TestQuotedPathsAreSafeOnATerminal(t *testing.T) {
	for _, plain := range []string{"/a/b", "naïve/日本", "it's"} {
		if got := QuotePath(plain); got != plain {
			t.Errorf("%q is quoted as %s", plain, got)
		}
	}
	for _, odd := range []string{"", "a\nb", "\x1b[2J", "\xff", " a", "a ", `a"b`, `a\b`, "a\u202eb", "a\u200bb"} {
		got := QuotePath(odd)
		if !strings.HasPrefix(got, `"`) || strings.ContainsAny(got, "\n\x1b\u202e\u200b") {
			t.Errorf("%q is quoted as %s", odd, got)
		}
	}
}
