package verify_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/verify"
)

func TestActionsAreRead(t *testing.T) {
	got, err := verify.ParseActions("all=ignore,double-resume=remove,pre-status=report")
	if want := (verify.Actions{verify.All: verify.Ignore, "double-resume": verify.Remove, "pre-status": verify.Report}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                       `it names no action; actions are report, ignore, remove, as in`,
		"all=":                   `"" is no action; actions`,
		"all=report,all=ignore":  `verify filters all=ignore: there are two actions for this rule; give one`,
		"double-resume":          `verify filters double-resume: it names no action; actions are report, ignore, remove, as in double-resume=remove`,
		"double-resume=zap":      `"zap" is no action; actions are report, ignore, remove`,
		"double=remove":          `verify filters double: there is no such rule; rules are all, pre-status, `,
		"all=remove,":            `it names no action`,
		"all=ignore, all=report": `there is no such rule`,
	} {
		if _, err := verify.ParseActions(text); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
