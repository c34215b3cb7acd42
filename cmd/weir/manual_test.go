package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
)

// TestManualIsComplete finds every flag, phase, act and JSON field in docs/mirror.md.
func TestManualIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/mirror.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(text)
	for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(newMirrorCommand().Flags().FlagUsages(), -1) {
		if !strings.Contains(manual, "`"+flag) {
			t.Errorf("no %s", flag)
		}
	}
	words := []string{"`target`", "`phase`", "`gone`", "`end`", "`change`"}
	for _, act := range replicate.Acts() {
		words = append(words, "`"+string(act)+"`")
	}
	for _, phase := range []replicate.Phase{
		replicate.PhaseHeld, replicate.PhaseDetached, replicate.PhaseSourceAbsent, replicate.PhaseTargetAbsent, replicate.PhaseWaiting, replicate.PhaseFull,
		replicate.PhaseBraked, replicate.PhaseComparing, replicate.PhaseCopying, replicate.PhaseSettling, replicate.PhaseInSync, replicate.PhaseLeftOut,
	} {
		words = append(words, "`"+string(phase)+"`")
	}
	for _, v := range []any{
		replicate.Status{}, replicate.UnitStatus{}, replicate.TargetStatus{}, replicate.Problem{}, replicate.Aside{}, replicate.Note{},
		replicate.Change{}, replicate.Total{},
	} {
		for i, typ := 0, reflect.TypeOf(v); i < typ.NumField(); i++ {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name != "-" { // It is not told.
				words = append(words, "`"+name+"`")
			}
		}
	}
	for _, word := range words {
		if !strings.Contains(manual, word) {
			t.Errorf("no %s", word)
		}
	}
}
