package volume

import (
	"testing"

	"github.com/weirfs/weir"
)

func TestSpecsThatMakeNoSense(t *testing.T) {
	for _, text := range []string{"", "scratch", "a/b", "./a", "LABEL", "LABEL=", "UUID=", "TYPE=", "=x", "label=x", "PARTUUID=1-2", "UUID=x", "TYPE=/dev/sdb", "TYPE=ext4,xfs"} {
		if _, err := ParseSpec(text); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSpecsMatch(t *testing.T) {
	info := weir.VolumeInfo{
		Source: "/dev/no-such-disk", Label: "a=b", Identity: weir.Identity{FSType: "ext4", UUID: "0a-1f"},
		Mounts: []weir.Mount{{Own: true, Point: "/m/a"}, {Point: "/elsewhere"}},
	}
	gone := weir.VolumeInfo{Source: "tmpfs", Was: []weir.Mount{{Own: true, Point: "/m/b"}}}
	for _, c := range []struct {
		text            string
		matches, former bool
	}{
		{"UUID=0A-1F", true, false}, {"UUID=0A-1E", false, false}, {"LABEL=a=b", true, false}, {"LABEL=a", false, false},
		{"TYPE=ext4", true, false}, {"TYPE=ext", false, false}, {"/dev/no-such-disk", true, false}, {"/dev/no-such-dis", false, false},
		{"/m/a", true, false}, {"/m/./a/", true, false}, {"/m", false, false}, {"/m/a/b", false, false}, {"/elsewhere", false, false},
		{"/m/b", false, true}, {"/", false, false},
	} {
		s, err := ParseSpec(c.text)
		if err != nil || s.String() != c.text {
			t.Errorf("%s: %v, %v", c.text, s, err)
		}
		if s.Matches(info) != c.matches || s.Matches(gone) != c.former {
			t.Errorf("%s: matches %t and %t", c.text, s.Matches(info), s.Matches(gone))
		}
	}
	if (Spec{}).Matches(weir.VolumeInfo{}) {
		t.Error("no spec matches a volume of which nothing is known")
	}
}
