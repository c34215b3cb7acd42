package comparer

import (
	"strings"
	"testing"
	"time"
)

// shown is how many differences a failure prints.
const shown = 25

// Equal fails the test unless the trees are equal now.
func Equal(t testing.TB, a, b string, options Options) {
	t.Helper()
	if found, err := Compare(a, b, options); err != nil || len(found) > 0 {
		t.Fatalf("%s and %s differ: %s", a, b, describe(found, err))
	}
}

// Await fails the test unless the trees are equal within patience, and still are when it has looked
// twice.
func Await(t testing.TB, a, b string, patience time.Duration, options Options) {
	t.Helper()
	equal := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		found, err := Compare(a, b, options)
		if err == nil && len(found) == 0 {
			if equal++; equal == 2 {
				return
			}
			continue
		}
		equal = 0
		if time.Now().After(deadline) {
			t.Fatalf("%s and %s still differ after %v: %s", a, b, patience, describe(found, err))
		}
	}
}

func describe(found []Difference, err error) string {
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, d := range found[:min(shown, len(found))] {
		lines = append(lines, "\n\t"+d.String())
	}
	if len(found) > shown {
		lines = append(lines, "\n\t...")
	}
	return strings.Join(lines, "")
}
