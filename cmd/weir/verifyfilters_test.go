package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/internal/voltest"
	rules "github.com/weirfs/weir/verify"
)

// The filters that are compiled in keep the rules, whatever is asked of them.
func TestFiltersAreVerified(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	p := startWeir(t, s.args("--verify-filters")...)
	p.says(`msg="in sync"`, 2)
	s.write("a")
	s.arrives("a", s.good)
	asked(t, 0, "detach replicate "+source.Dir, "is detached")
	asked(t, 0, "attach replicate "+source.Dir, "is attached")
	asked(t, 0, "unload replicate --force", "is unloaded")
	asked(t, 0, "load replicate", "is loaded")
	s.write("b")
	s.arrives("b", s.good)
	if out := asked(t, 0, "filters", `replicate +1 `); strings.Contains(out, "has broken") {
		t.Error(out)
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
	var out strings.Builder
	list := control.Filters{Violations: []rules.Count{{Filter: "gone", Rule: "leaked-hold", Count: 2}}}
	if err := printFilters(&out, list, false); err != nil || !strings.Contains(out.String(), "filter gone has broken rule leaked-hold, 2 times") {
		t.Errorf("printed %q, %v", out.String(), err)
	}
	f := mirrorFlags{verifyFilters: "all=ignore,double-resume=remove", replaced: "hold", scanInterval: "10s", progress: "auto"}
	if o, err := f.options("/a", []string{"/b"}); err != nil || !maps.Equal(o.Verify.Actions, rules.Actions{"all": rules.Ignore, "double-resume": rules.Remove}) {
		t.Errorf("options %+v, %v", o, err)
	}
}

// Without a value the flag has every rule reported; of a value that is none, it says which there are.
func TestActionsOfTheVerifierAreChecked(t *testing.T) {
	a, b := twins(t)
	for value, want := range map[string]string{
		"=":                      "use --verify-filters: it is empty",
		"=double=remove":         "use --verify-filters double: there is no such rule; rules are all, pre-status, ",
		" all=ignore":            "use all=ignore: a blank makes a directory of what .*; write --verify-filters=all=ignore, or ./all=ignore",
		" slow-callbak=ignore":   "a blank makes a directory of",
		"=all=report,all=remove": "use --verify-filters all=remove: there are two actions",
		"=double-resume":         "actions are report, ignore, remove",
		"=double-resume=zap":     `"zap" is no action; actions are report, ignore, remove`,
		"=double-resume=remove":  "it does not exist; create it",
		"":                       "it does not exist; create it",
	} {
		refuses(t, want, strings.Fields("mirror --once --verify-filters"+value+" "+a+"/nothing "+b)...)
	}
}
