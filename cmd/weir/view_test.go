package main

import (
	"strings"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢": "plain ü 漢", "a\x1b[2Jb": `a\x1b[2Jb`, "a\nb\rc": `a\nb\rc`, "\u202e": `\u202e`, "\x7f": `\x7f`, "\u0085": `\u0085`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in, want string
		columns  int
	}{
		{"plain", "plain", 5}, {"plain", "plai", 4}, {"漢字", "漢字", 4}, {"漢字", "漢", 3}, {"漢字", "", 1},
		{"ｆｕｌｌ", "ｆｕ", 5}, {"e\u0301e\u0301x", "e\u0301e\u0301", 2}, {"한글", "한", 2}, {"", "", 0},
	} {
		if got := clip(c.in, c.columns); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		in, want string
		columns  int
	}{
		{"/srv/data", "/srv/data", 9}, {"/srv/data", "/s...ta", 7}, {"/srv/data", "/s...ata", 8}, {"漢字漢字漢字", "漢...字", 8}, {"", "", 8},
	} {
		if got := shorten(c.in, c.columns); got != c.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

// TestViewOfANarrowTerminal says what matters in 40 columns, and all of it in 120.
func TestViewOfANarrowTerminal(t *testing.T) {
	const place, far = "/srv/projects/of/this/year", "/mnt/backup/disks/second"
	s := replicate.Status{
		Copied: 1, Read: 60 << 20, Written: 60 << 20,
		Units: []replicate.UnitStatus{
			{Place: place, Target: "/t", Phase: replicate.PhaseInSync, Files: 12},
			{Place: place, Target: far, Phase: replicate.PhaseFull, Files: 1234, Backlog: 3, Lag: "2s", Reason: "since 10:11:12", Todo: "free some room"},
		},
		Problems: []replicate.Problem{{Path: "a/file", Target: far, Reason: "the target is full"}},
	}
	for columns, want := range map[int][]string{
		39: {
			"1 file copied, 5.0 MiB/s, 60.0 MiB read",
			"  in sync       12 files  /s...ear -> /t",
			"  target full   1234 files, backlog 3, lag 2s",
			"    since 10:11:12; free some room",
			"  ! a/file -> /mn...ond: the target is full",
		},
		119: {
			"1 file copied, 5.0 MiB/s, 60.0 MiB read, 60.0 MiB written",
			"  in sync       12 files  " + place + " -> /t",
			"  target full   1234 files, backlog 3, lag 2s  " + place + " -> " + far,
			"    since 10:11:12; free some room",
			"  ! a/file -> " + far + ": the target is full",
		},
	} {
		got := view(s, 5<<20, columns)
		if len(got) != len(want) {
			t.Fatalf("%d columns: %q", columns, got)
		}
		for i, line := range got {
			if line = clip(line, columns); !strings.HasPrefix(line, clip(want[i], columns)) {
				t.Errorf("%d columns: %q, want %q", columns, line, want[i])
			}
		}
	}
}
