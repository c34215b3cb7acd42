package daemon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

func TestVerdictNamesWhatIsUnequal(t *testing.T) {
	unit := func(place string, phase replicate.Phase, reason string) replicate.UnitStatus {
		return replicate.UnitStatus{Place: place, Target: "/t", Phase: phase, Reason: reason, Todo: "do this"}
	}
	held, away := unit("/s/a", replicate.PhaseHeld, "a different volume is here"), unit("/s/b", replicate.PhaseSourceAbsent, "")
	var many []replicate.UnitStatus
	for i := range 7 {
		many = append(many, unit(fmt.Sprintf("/s/%d", i), replicate.PhaseHeld, ""))
	}
	for _, c := range []struct {
		failed []replicate.UnitStatus
		paths  int64
		want   string
	}{
		{nil, 0, ""},
		{nil, 1, "mirror: 1 path could not be replicated as it is; it is listed with the reason"},
		{nil, 2, "mirror: 2 paths could not be replicated as they are; each is listed with the reason"},
		{[]replicate.UnitStatus{held}, 3, "mirror /s/a: not replicated to /t: held: a different volume is here; do this"},
		{[]replicate.UnitStatus{away}, 0, "mirror /s/b: not replicated to /t: source absent; do this"},
		{[]replicate.UnitStatus{held, away}, 0, "mirror: not replicated: /s/a to /t (held), /s/b to /t (source absent); each is listed with what helps"},
		{many, 0, "/s/4 to /t (held), and 2 more; each is listed with what helps"},
	} {
		err := unequal(c.failed, c.paths)
		if err == nil {
			if c.want != "" {
				t.Errorf("no error, want %s", c.want)
			}
			continue
		}
		if !strings.HasSuffix(err.Error(), c.want) || c.want == "" || weir.KindOf(err) != weir.KindDiffers {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
