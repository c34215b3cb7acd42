package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestEndNamesEverything has one run meet a place with another volume, one without any, and deletions that wait.
func TestEndNamesEverything(t *testing.T) {
	s := newStage(t)
	former := make(map[string]string)
	for _, name := range []string{"held", "away"} {
		former[name] = filepath.Join(s.source, name)
		voltest.New(t, "ext4", voltest.At(former[name]))
		s.write(name + "/file")
	}
	if err := os.Mkdir(filepath.Join(s.source, "many"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.write(fmt.Sprintf("many/%d", i))
	}
	once := func(flags ...string) (int, string, string) {
		return weirOnce(t, append(append([]string{"--state", s.state}, flags...), s.source, s.good)...)
	}
	if status, out, err := once(); status != 0 {
		t.Fatal(status, out, err)
	}
	for _, dir := range former {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	voltest.New(t, "ext4", voltest.At(former["held"]))
	if err := os.RemoveAll(filepath.Join(s.source, "many")); err != nil {
		t.Fatal(err)
	}

	status, out, told := once("--max-delete", "5")
	for _, want := range []string{
		`/held -> .*: held, \d+ files on the replica: a different volume is here; start with --replaced merge .* or --replaced mirror`,
		`/away -> .*: source absent, \d+ files on the replica: only its bare mount point is there; mount it`,
		s.source + ` -> .*: braked, \d+ files on the replica: held by the brake: .*; start with --max-delete off, or a larger number`,
		`many -> .*: held by the brake: .*; 21 names wait`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the list lacks %s:\n%s", want, out)
		}
	}
	last := told[strings.LastIndex(told, "weir: "):]
	if status != 1 || !regexp.MustCompile(`weir: mirror: not replicated: .*\(held\), .*\(source absent\), .*\(braked\)|weir: mirror: not replicated: .*\(source absent\), .*\(held\), .*\(braked\)`).MatchString(last) {
		t.Errorf("status %d, %s", status, last)
	}

	_, out, _ = once("--json", "--max-delete", "5")
	lines := bytes.Split(bytes.TrimSpace([]byte(out)), []byte("\n"))
	var end struct {
		Error  string
		Exit   int `json:"exit_status"`
		Status replicate.Status
	}
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil || end.Exit != 1 {
		t.Fatalf("%v in %s", err, lines[len(lines)-1])
	}
	for _, u := range end.Status.Units {
		if !u.Phase.Stuck() || u.Todo == "" {
			t.Errorf("%+v", u)
		}
	}
	if strings.Contains(out, "0001-01-01") {
		t.Errorf("a time that never was:\n%s", out)
	}
}

// TestAnotherDirectoryIsNoVolume makes SOURCE anew, on the volume that it was on.
func TestAnotherDirectoryIsNoVolume(t *testing.T) {
	s := newStage(t)
	s.write("file")
	if status, out, err := weirOnce(t, "--state", s.state, s.source, s.good); status != 0 {
		t.Fatal(status, out, err)
	}
	if err := os.Rename(s.source, s.source+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.source, 0o755); err != nil {
		t.Fatal(err)
	}
	status, out, told := weirOnce(t, "--state", s.state, s.source, s.good)
	if status != 1 || !strings.Contains(out, "held, 2 files on the replica: another directory of the same volume is here; start with") ||
		!strings.Contains(told, "not replicated to "+s.good+": held: another directory of the same volume is here; start with") {
		t.Errorf("status %d, %s%s", status, out, told)
	}
	if strings.Contains(told, "absent") || strings.Contains(told, "replica waits") {
		t.Errorf("it is there:\n%s", told)
	}
}
