package mount

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMountinfo(t *testing.T) {
	text := `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 36 0:44 / /a\040b\134c\012d rw,nosuid - fuse.bindfs /src\011x ro,user_id=0
41 36 0:45 / /none ro,relatime shared:3 propagate_from:2 unbindable - tmpfs  rw
`
	got, err := ParseMountinfo([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{ID: 36, ParentID: 35, Device: MakeDevice(98, 0), Root: "/mnt1", Point: "/mnt2", FSType: "ext3",
			Source: "/dev/root", Options: "rw,noatime", SuperOptions: "rw,errors=continue"},
		{ID: 40, ParentID: 36, Device: MakeDevice(0, 44), Root: "/", Point: "/a b\\c\nd", FSType: "fuse.bindfs",
			Source: "/src\tx", Options: "rw,nosuid", SuperOptions: "ro,user_id=0", SuperReadOnly: true},
		{ID: 41, ParentID: 36, Device: MakeDevice(0, 45), Root: "/", Point: "/none", FSType: "tmpfs",
			Options: "ro,relatime", SuperOptions: "rw", ReadOnly: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseMountinfoRefusesNonsense(t *testing.T) {
	for _, line := range []string{"x", "1 2 3:4 / / rw", "1 2 3 / / rw - a b c", "1 2 a:b / / rw - a b c",
		"99999999999 2 3:4 / / rw - a b c", " - a b c"} {
		if got, err := ParseMountinfo([]byte(line + "\n")); err == nil {
			t.Errorf("%q is read as %+v", line, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: "plain", `a\040b`: "a b", `\134\012`: "\\\n", `\1`: `\1`, `\999`: `\999`, `end\04`: `end\04`,
		`\377\043`: "\xff#",
	} {
		if got := Unescape(in); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n"))
	f.Add([]byte("41 36 0:45 / /a\\040b ro - tmpfs  rw\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := ParseMountinfo(text)
		if err == nil && len(entries) > strings.Count(string(text), "\n")+1 {
			t.Errorf("%d mounts in %q", len(entries), text)
		}
	})
}
