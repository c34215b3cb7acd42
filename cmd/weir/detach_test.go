package main

import (
	"testing"

	"github.com/weirfs/weir/control"
)

// Without a name the default is meant, also if others stand above it, and if it is detached.
func TestDetachMeansTheDefault(t *testing.T) {
	list := []control.Instance{{Instance: "high", State: "attached"}, {Instance: "low", Default: true, State: "detached"}}
	for name, args := range map[string][]string{"low": {"f", "1"}, "high": {"f", "1", "high"}} {
		if in, err := meant(list, args); err != nil || in.Instance != name {
			t.Errorf("%q mean %s, error %v", args, in.Instance, err)
		}
	}
	if _, err := meant(list, []string{"f", "1", "other"}); err == nil {
		t.Error("an instance was found that is not there")
	}
}
