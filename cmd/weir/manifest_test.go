package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

const watchTwice = `filter = "activity"
default = "high"

[[instance]]
name = "high"
altitude = "370031"

[[instance]]
name = "low"
altitude = "365000.5"
attach = "automatic"

[[instance]]
name = "spare"
altitude = "365000.25"
attach = "manual"
`

// TestManifestsAreKeptTo runs a mirror that has moved its own instance, and a monitor of which each volume has two.
func TestManifestsAreKeptTo(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4").Dir
	s.source = source
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := file("own.toml", "filter = 'replicate'\n[[instance]]\nname = 'mirror'\naltitude = '300000.5'\n")
	p := startWeir(t, s.args("--manifest", own)...)
	p.says(`msg="in sync"`, 2)
	asked(t, 0, "filters", `replicate +1 +300000.5 +Replication +0\n`, `filter replicate has on each volume: mirror at 300000.5\n`)
	asked(t, 0, "instances", `replicate +\d+ +300000.5 +mirror +0 +attached +`+source)
	s.write("a")
	s.arrives("a", s.good)

	twice := file("twice.toml", watchTwice)
	asked(t, 2, "load activity --manifest "+file("odd.toml", "filter = 'activity'\ncolour = 1\n"), `read manifest /.*/odd\.toml: line 2, column 1: there is no key "colour"; `)
	asked(t, 2, "load activity --manifest /dev/null", "read manifest /dev/null: it is no regular file; ")
	asked(t, 2, "load activity --manifest "+own, `the manifest is for filter "replicate"`)
	asked(t, 2, "load activity --manifest "+file("taken.toml", "filter = 'activity'\n[[instance]]\nname = 'a'\naltitude = 300000.50\n"),
		"altitude 300000.5 is that of filter replicate, instance mirror; ")
	asked(t, 0, "load activity --manifest "+twice, "filter activity is loaded at altitude 370031, in frame 0")
	asked(t, 0, "filters", `filter activity has on each volume: high at 370031, low at 365000.5 \(not by hand\), spare at 365000.25 \(by hand only\)\n`)
	_, some, _ := weirRun("instances", "-f", "activity")
	_, all, _ := weirRun("instances", "-f", "activity", "--all")
	byHand := func(place string) *regexp.Regexp {
		return regexp.MustCompile(`spare .*detached by its definition +` + place + `\n`)
	}
	if !byHand(source).MatchString(some) || byHand("/proc").MatchString(some) || !byHand("/proc").MatchString(all) {
		t.Errorf("what may be attached by hand is listed on pseudo file systems, or not at all:\n%s", some)
	}
	w := watch(t, source)
	s.write("b")
	w.eachTells(filepath.Join(source, "b"), "high", "low")
	asked(t, 0, "attach activity "+source+" spare", "instance spare is attached")
	s.write("c")
	w.eachTells(filepath.Join(source, "c"), "high", "low", "spare")
	asked(t, 0, "detach activity "+source+" low", "instance low is detached")
	asked(t, 2, "attach activity "+source+" low", "attach instance low: filter activity has it attached by itself only, as its definition says: attach is automatic; it comes back with")
	s.write("d")
	w.eachTells(filepath.Join(source, "d"), "high", "spare")
	asked(t, 0, "detach activity "+source, "instance high is detached")
	asked(t, 2, "detach activity "+source, "instance high of filter activity on volume .* is detached already")
	asked(t, 0, "attach activity "+source, "instance high is attached")
	asked(t, 2, "unload activity", "unload filter activity: programs watch what it tells, 1 of them; weir unload --force cannot be refused")
	asked(t, 0, "unload activity --force", "is unloaded")
	asked(t, 0, "load activity", "filter activity is loaded at altitude 370030, in frame 0")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)

	p = startWeir(t, s.args("--manifest", twice)...)
	p.says(`msg="in sync"`, 2)
	w = watch(t, source)
	asked(t, 0, "filters", `activity +\d+ +370031 +Activity Monitor +0\n`, `replicate +1 +309999 +Replication +0\n`)
	s.write("e")
	w.eachTells(filepath.Join(source, "e"), "high", "low")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// eachTells waits until each of these instances has told of the creation of a file, once, and no other has.
func (w watched) eachTells(path string, instances ...string) {
	w.t.Helper()
	want := map[string]int{}
	for _, in := range instances {
		want[in] = 1
	}
	eventually(w.t, 10*time.Second, func() error {
		got := map[string]int{}
		events, _ := w.events()
		for _, e := range events {
			if e.Path == path && e.Ops&weir.OpCreate != 0 {
				got[e.Instance]++
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("of %s have told %v, want %v", path, got, want)
		}
		return nil
	})
}

// TestBadManifestsAreRefused before anything begins.
func TestBadManifestsAreRefused(t *testing.T) {
	s := newStage(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"unknown":  "filter='other'\n[[instance]]\nname='x'\naltitude='1'\n",
		"bad":      "filter='activity'\n[[instance]]\nname='x'\naltitude='high'\n",
		"collides": "filter='activity'\n[[instance]]\nname='x'\naltitude='309999'\n",
		"activity": watchTwice,
		"manual":   "filter='replicate'\n[[instance]]\nname='x'\naltitude='309998'\nattach='manual'\n",
		"low":      "filter='replicate'\n[[instance]]\nname='x'\naltitude='1000'\n",
		"several":  "filter='replicate'\ndefault='x'\n[[instance]]\nname='x'\naltitude='309998'\n[[instance]]\nname='y'\naltitude='309997'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for names, want := range map[string]string{
		"unknown":           "use manifest for filter other: this weir has no filter of this name; it has replicate, activity",
		"bad":               `read manifest .*/bad: line 4, column 10: altitude "high": not a decimal`,
		"collides":          "use manifests: filter activity, instance x: altitude 309999 is that of filter replicate, instance replicate; ",
		"activity activity": "use manifest for filter activity: there are two for this filter; ",
		"manual":            "use manifest for filter replicate: attach is manual, and a mirror follows its source from the start; ",
		"low":               "use manifest for filter replicate: altitude 1000 is not in the group Replication: ",
		"several":           "use manifests: filter replicate can have one instance on a volume, and not 2; ",
		"gone":              "read manifest .*/gone: no such file or directory; ",
	} {
		for _, mode := range []string{"", "--once ", "--dry-run "} {
			args := append([]string{"mirror"}, strings.Fields(mode+"--state "+s.state)...)
			for _, name := range strings.Fields(names) {
				args = append(args, "--manifest", filepath.Join(dir, name))
			}
			refuses(t, want, append(args, s.source, s.good)...)
		}
	}
	if _, err := os.Stat(s.state); err == nil {
		t.Error("something has begun")
	}
}
