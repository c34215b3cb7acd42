package main

import (
	"strings"
	"testing"
)

// TestEmptyValuesAreRefused gives every command what a shell makes of a variable that is not set, before anything is asked
// or touched.
func TestEmptyValuesAreRefused(t *testing.T) {
	for _, row := range []struct {
		args  []string
		names string
	}{
		{[]string{"mount", "-t", "tmpfs", "none", ""}, "argument 2 (DIR)"},
		{[]string{"mount", "-t", "tmpfs", "", "/mnt"}, "argument 1 (DEVICE)"},
		{[]string{"mount", "-t", "", "none", "/mnt"}, "--type"},
		{[]string{"mount", "-o", "", "none", "/mnt"}, "--options"},
		{[]string{"unload", "", "--force"}, "argument 1 (FILTER)"},
		{[]string{"load", ""}, "argument 1 (FILTER)"},
		{[]string{"load", "replicate", "--manifest="}, "--manifest"},
		{[]string{"attach", "replicate", ""}, "argument 2 (VOLUME)"},
		{[]string{"detach", "replicate", "/", ""}, "argument 3 (INSTANCE)"},
		{[]string{"instances", "-f", ""}, "--filter"},
		{[]string{"instances", "-v", ""}, "--volume"},
		{[]string{"explain", ""}, "argument 1 (PATH)"},
		{[]string{"watch", ""}, "argument 1 (PATH|VOLUME)"},
		{[]string{"verify", "a", ""}, "argument 2 (B)"},
		{[]string{"mirror", "s", "t", ""}, "argument 3 (TARGET)"},
		{[]string{"mirror", "-x", "a", "-x", "", "s", "t"}, "--exclude"},
		{[]string{"filters", "--socket="}, "--socket"},
	} {
		status, out, errs := weirRun(row.args...)
		if status != 2 || out != "" || !strings.HasPrefix(errs, "weir: use "+row.names+": it is empty, as if from a variable") {
			t.Errorf("%q: status %d, %s%s", row.args, status, out, errs)
		}
	}
}
