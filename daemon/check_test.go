package daemon

import (
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/probe"
)

func TestLackingNamesFeatureAndKernel(t *testing.T) {
	if err := lacking(nil); err != nil {
		t.Error(err)
	}
	kernel := probe.Result{Feature: probe.Feature{Name: "kernel", What: "the release", Kernel: "6.1"}, Detail: "this is 5.10"}
	events := probe.Result{Feature: probe.Feature{Name: "events", What: "changes", Kernel: "5.17"}, Detail: "operation not permitted"}
	admin := probe.Result{Feature: probe.Feature{Name: "CAP_SYS_ADMIN", What: "marks"}, Detail: "not held"}
	for want, missing := range map[string][]probe.Result{
		"start: kernel (the release) does not work: this is 5.10; Linux has it since 6.1; weir doctor shows": {kernel},
		"start: weir has no CAP_SYS_ADMIN; let it have that":                                                 {events, admin},
	} {
		err := lacking(missing)
		if weir.KindOf(err).ExitStatus() != 2 || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "events") {
			t.Errorf("exit status %d: %v, want %s", weir.KindOf(err).ExitStatus(), err, want)
		}
	}
}
