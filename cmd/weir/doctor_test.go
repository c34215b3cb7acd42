package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/probe"
)

func TestDoctorSaysTheSameInBothForms(t *testing.T) {
	status, table, _ := weirRun("doctor")
	again, object, _ := weirRun("doctor", "--json")
	var d diagnosis
	if err := json.Unmarshal([]byte(object), &d); err != nil {
		t.Fatal(err)
	}
	if status != again || d.Runs != (status == 0) || len(d.Features) < 10 {
		t.Errorf("status %d and %d, %+v", status, again, d)
	}
	if want := len(d.Features) + 1; strings.Count(strings.Split(table, "\n\n")[0]+"\n", "\n") != want {
		t.Errorf("the table has not %d lines:\n%s", want, table)
	}
}

func TestDoctorVerdict(t *testing.T) {
	missing := []probe.Result{{Feature: probe.Feature{Name: "legs", Needed: true}, Detail: "none"}}
	d := diagnosis{Kernel: "6.0", Features: missing}
	if got := d.verdict(missing); !strings.Contains(got, "legs does not work: none") ||
		!strings.Contains(got, "weir mirror cannot run here, for want of legs") {
		t.Error(got)
	}
	if status := weir.KindOf(unfit(missing)).ExitStatus(); status != 1 {
		t.Errorf("status %d", status)
	}
	if unfit(nil) != nil {
		t.Error("a fit machine is refused")
	}
}
