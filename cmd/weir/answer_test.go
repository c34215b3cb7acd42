package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/weirfs/weir/control"
)

// TestWordsOfFiltersDoNotReachATerminal as they are: lines stay lines, and nothing else that a terminal acts on gets through.
func TestWordsOfFiltersDoNotReachATerminal(t *testing.T) {
	const words = "I do not like \x1b[31mit: \u202e\u009b1m"
	list := control.Frames{Frames: []control.Frame{{Links: []control.Link{{Volume: 1, State: "failed", Why: words}}}}}
	for _, a := range []answerer{{}, {json: true}} {
		var out bytes.Buffer
		if err := a.print(&out, list, func(w io.Writer) error { return printFrames(w, list) }); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(out.String(), "\n", ""); printable(got) != got || !strings.Contains(got, "I do not like") {
			t.Errorf("json %v: %q", a.json, got)
		}
	}
}
