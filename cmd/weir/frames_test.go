package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weirfs/weir/control"
)

// TestFramesSayWhereTheyAreNot and why, once for the volumes that have the same reason.
func TestFramesSayWhereTheyAreNot(t *testing.T) {
	list := control.Frames{Epoch: 7, Frames: []control.Frame{{Filters: []string{"replicate"}, Links: []control.Link{
		{Volume: 1, State: "attached"}, {Volume: 2, State: "failed", Why: "it is hidden"}, {Volume: 3, State: "failed", Why: "it is hidden"},
		{Volume: 4, State: "idle"},
	}}}}
	var out bytes.Buffer
	if err := printFrames(&out, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 attached, 2 failed, 1 idle\n", "\nvolumes 2, 3: frame 0 failed: it is hidden\n", "\nepoch 7\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
