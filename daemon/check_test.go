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
	err := lacking([]probe.Result{
		{Feature: probe.Feature{Name: "kernel", What: "the release", Kernel: "6.1"}, Detail: "this is 5.10"},
		{Feature: probe.Feature{Name: "CAP_SYS_ADMIN", What: "marks"}, Detail: "not held"},
	})
	if weir.KindOf(err).ExitStatus() != 2 {
		t.Errorf("%v has exit status %d", err, weir.KindOf(err).ExitStatus())
	}
	for _, want := range []string{"kernel (the release) does not work: this is 5.10; Linux has it since 6.1", "CAP_SYS_ADMIN", "weir doctor"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
}
