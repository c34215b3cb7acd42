package daemon

import (
	"slices"
	"testing"
)

func TestReportsOfAnEngine(t *testing.T) {
	targets := []string{"/a", "/b", "/c"}
	for line, want := range map[string]report{
		"behind ":    {behind: []string{}},
		"behind 0 2": {behind: []string{"/a", "/c"}},
		"exit 3":     {status: 3},
	} {
		got := parseReport(line, targets)
		if !slices.Equal(got.behind, want.behind) || (got.behind == nil) != (want.behind == nil) || got.status != want.status {
			t.Errorf("%q is read as %+v, want %+v", line, got, want)
		}
	}
}
