package tree

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// planted is a tree with one of everything.
const planted = `
	mkdir -p dir/sub empty; echo hello > dir/file; echo other > dir/sub/other; ln -s 'some text' link; mkfifo fifo; mknod dev c 5 6
	mknod blk b 7 8; echo a > one; ln one dir/one; echo b > two; ln two dir/two; echo c > three
	truncate -s 4M sparse; echo data | dd of=sparse bs=1M seek=2 conv=notrunc status=none
	head -c 300000 /dev/urandom > big; chmod 4755 big; chown 12:34 dir/file; printf 'x' > $'new\nline'; printf x > $'\xff'
	setfattr -n user.a -v 1 dir/file; setfattr -n trusted.b -v 2 -h link; setfacl -m u:4711:rx dir; setfacl -d -m g:4711:r dir
	find . -exec touch -h -d '2020-01-02 03:04:05.000000006 UTC' {} +`

// diff compares two trees and returns the differences as lines.
func diff(t testing.TB, a, b string, content bool) (lines []string, r CompareResult) {
	t.Helper()
	r, err := Compare(t.Context(), root(t, a), root(t, b), CompareOptions{
		Content: content,
		Report: func(d Difference) {
			lines = append(lines, fmt.Sprintf("%s: %s: %s | %s", d.Path, d.What, d.A, d.B))
		},
		Unreadable: func(path string, err error) { lines = append(lines, fmt.Sprintf("%s: %v", path, err)) },
	})
	must(t, err)
	slices.Sort(lines)
	if int(r.Differences+r.Unreadable) != len(lines) {
		t.Errorf("%+v, %d lines", r, len(lines))
	}
	return lines, r
}

func TestCompareFindsEveryPlantedDifference(t *testing.T) {
	const when = "touch -h -d '2020-01-02 03:04:05.000000006 UTC' "
	for name, test := range map[string]struct {
		script  string // changes b
		content bool
		want    []string
	}{
		"nothing":         {"true", true, nil},
		"name missing":    {"rm dir/sub/other; " + when + "dir/sub", false, []string{"dir/sub/other: name: a file | nothing"}},
		"name too much":   {"mkdir empty/new; " + when + "empty", false, []string{"empty/new: name: nothing | a directory"}},
		"odd name":        {"rm $'new\\nline'; " + when + ".", false, []string{"new\nline: name: a file | nothing"}},
		"invalid UTF-8":   {"rm $'\\xff'; " + when + ".", false, []string{"\xff: name: a file | nothing"}},
		"type":            {"rm link; mkdir link; " + when + ". link", false, []string{"link: type: a symbolic link | a directory"}},
		"mode":            {"chmod 0755 big", false, []string{"big: mode: 4755 | 0755"}},
		"mode of root":    {"chmod 0700 .", false, []string{".: mode: 0755 | 0700"}},
		"user":            {"chown 13 dir/file", false, []string{"dir/file: owner: 12:34 | 13:34"}},
		"group of a link": {"chgrp -h 3 link", false, []string{"link: owner: 0:0 | 0:3"}},
		"time of a file": {
			"touch -d '2020-01-02 03:04:05.000000007 UTC' one", false,
			[]string{
				"dir/one: mtime: 2020-01-02T03:04:05.000000006Z | 2020-01-02T03:04:05.000000007Z",
				"one: mtime: 2020-01-02T03:04:05.000000006Z | 2020-01-02T03:04:05.000000007Z",
			},
		},
		"time of a directory": {
			"touch -d '1960-01-02 UTC' dir", false,
			[]string{"dir: mtime: 2020-01-02T03:04:05.000000006Z | 1960-01-02T00:00:00.000000000Z"},
		},
		"time of a link": {
			"touch -h -d '1960-01-02 UTC' link", false,
			[]string{"link: mtime: 2020-01-02T03:04:05.000000006Z | 1960-01-02T00:00:00.000000000Z"},
		},
		"size":         {"echo >> three; " + when + "three", false, []string{"three: size: 2 bytes | 3 bytes"}},
		"same content": {"printf y > $'\\xff'; " + when + "$'\\xff'", false, nil},
		"content": {
			"printf '\\0' | dd of=dir/file bs=1 seek=2 conv=notrunc status=none; " + when + "dir/file", true,
			[]string{"dir/file: content: 0x6c at byte 2 | 0x00 at byte 2"},
		},
		"text":   {"ln -sf 'other text' link; setfattr -n trusted.b -v 2 -h link; " + when + "-h link .", false, []string{"link: text: some text | other text"}},
		"device": {"rm dev; mknod dev c 5 7; " + when + "dev .", false, []string{"dev: device: 5:6 | 5:7"}},
		"xattrs": {
			"setfattr -n user.a -v $'\\x01' dir/file; setfattr -n user.b -v 1 dir/file", false,
			[]string{"dir/file: xattr user.a: 1 | \"\\x01\"", "dir/file: xattr user.b: none | 1"},
		},
		"a long xattr": {
			"setfattr -n user.a -v \"$(printf 'x%.0s' {1..900})Z\" dir/file", false,
			[]string{"dir/file: xattr user.a: 1 | \"" + strings.Repeat("x", 200) + "\"... (901 bytes)"},
		},
		"a long ACL": {
			"for n in {1001..1040}; do l=$l,u:$n:r; done; setfacl -m ${l#,} dir", false,
			[]string{"dir: xattr system.posix_acl_access: u::rwx,u:4711:r-x,g::r-x,m::r-x,o::r-x | \"u::rwx,u:1001:r--,u:1002:r--,u:1003:r--,u:1004:r--,u:1005:r--,u:1006:r--,u:1007:r--,u:1008:r--,u:1009:r--,u:1010:r--,u:1011:r--,u:1012:r--,u:1013:r--,u:1014:r--,u:1015:r--,u:1016:r--,u:1017:r--,u:1018\"... (478 bytes)"},
		},
		"xattr of a link": {"setfattr -x trusted.b -h link", false, []string{"link: xattr trusted.b: 2 | none"}},
		"ACL": {
			"setfacl -m u:4711:r dir", false,
			[]string{"dir: xattr system.posix_acl_access: u::rwx,u:4711:r-x,g::r-x,m::r-x,o::r-x | u::rwx,u:4711:r--,g::r-x,m::r-x,o::r-x"},
		},
		"default ACL": {
			"setfacl -k dir", false,
			[]string{"dir: xattr system.posix_acl_default: u::rwx,g::r-x,g:4711:r--,m::r-x,o::r-x | none"},
		},
		"link broken": {
			"cp -p one x; mv x dir/one; " + when + "dir .", false,
			[]string{"hard link: a link to"},
		},
		"link too much":   {"ln -f three two; " + when + ". three two", true, []string{": content: 0x62 at byte 0 | 0x63", "hard link: a link to", "hard link: another file | a link to"}},
		"links exchanged": {"cp -p two x; ln -f one two; ln -f x one; rm x; " + when + "one two .", false, []string{"hard link: a link to one | another file", "hard link: another file | a link to two", "hard link: a link to two"}},
		"holes": {
			"head -c 4M /dev/zero > x; echo data | dd of=x bs=1M seek=2 conv=notrunc status=none; mv x sparse; " + when + "sparse .", true,
			[]string{"sparse: holes: 4193280 bytes | 0 bytes"},
		},
		"private": {"mkdir .weir lost+found; echo x > .weir/x; " + when + ".", false, []string{"lost+found: name: nothing | a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := voltest.New(t, "ext4")
			b := filepath.Join(a.Dir, "b")
			shell(t, a.Dir, "mkdir a b; cd a;"+planted)
			shell(t, a.Dir, "cp -a --sparse=always a/. b/; cd b; "+test.script)
			lines, _ := diff(t, filepath.Join(a.Dir, "a"), b, test.content)
			if len(lines) != len(test.want) {
				t.Fatalf("differences %q, want %q", lines, test.want)
			}
			// Which of two names is met first, and so counts as the right one, is the file system's choice.
			for _, want := range test.want {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("%q, want %q", lines, want)
				}
			}
		})
	}
}

func TestCompareEqualOnEveryVolume(t *testing.T) {
	a := voltest.New(t, "ext4")
	shell(t, a.Dir, planted)
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		shell(t, a.Dir, "rsync -aHAXS --exclude=/lost+found . "+v.Dir)
		lines, r := diff(t, a.Dir, v.Dir, true)
		if len(lines) > 0 || r.Objects < 18 {
			t.Errorf("%+v %q", r, lines)
		}
	})
}

// TestCompareLeavesOutWhatFsckKeeps has a lost+found at the root of an ext4, and at the top of mounts that show no such root.
func TestCompareLeavesOutWhatFsckKeeps(t *testing.T) {
	a, b := voltest.New(t, "ext4"), t.TempDir()
	if lines, _ := diff(t, a.Dir, b, true); slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, LostFound) }) {
		t.Errorf("%q", lines)
	}
	below := filepath.Join(t.TempDir(), "below")
	shell(t, a.Dir, "mkdir -p d/lost+found")
	voltest.Bind(t, filepath.Join(a.Dir, "d"), below)
	memory := voltest.New(t, "tmpfs")
	shell(t, memory.Dir, "mkdir lost+found")
	for _, dir := range []string{below, memory.Dir} {
		if lines, _ := diff(t, dir, b, true); !slices.Contains(lines, "lost+found: name: a directory | nothing") {
			t.Errorf("%s: %q", dir, lines)
		}
	}
}

func TestCompareFollowsMounts(t *testing.T) {
	a, b := voltest.New(t, "ext4"), voltest.New(t, "xfs")
	must(t, os.Mkdir(b.Dir+"/mnt", 0o755))
	inner := voltest.New(t, "ext4", voltest.At(filepath.Join(a.Dir, "mnt")))
	shell(t, inner.Dir, "echo x > file; ln file twin")
	shell(t, a.Dir, "touch -d @1 . mnt; rsync -aH --exclude=lost+found . "+b.Dir)
	if lines, _ := diff(t, a.Dir, b.Dir, true); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	voltest.Unmount(t, inner.Dir)
	lines, _ := diff(t, a.Dir, b.Dir, true)
	if len(lines) < 2 || !slices.Contains(lines, "mnt/file: name: nothing | a file") {
		t.Errorf("%q", lines)
	}
}

// What is too long for a line is shown from a little before the first difference on.
func TestShowTwo(t *testing.T) {
	common := strings.Repeat("x", 1000)
	for _, test := range [][4]string{
		{"a", "b", "a", "b"},
		{common + "a", common + "b\n", `"` + common[:199] + `a" from byte 801 on (1001 bytes)`, `"` + common[:198] + `b\n" from byte 802 on (1002 bytes)`},
		{common + "a" + common, common, `"` + common[:20] + "a" + common[:179] + `" from byte 980 on (2001 bytes)`, `"` + common[:200] + `" from byte 800 on (1000 bytes)`},
		{common[:100] + "a" + common, common[:101], `"` + common[:100] + "a" + common[:99] + `"... (1101 bytes)`, common[:101]},
	} {
		if a, b := showTwo(test[0], test[1]); a != test[2] || b != test[3] {
			t.Errorf("%s\n%s", a, b)
		}
	}
}

// The directory in place of a subvolume has no time, but all else.
func TestCompareSnapshot(t *testing.T) {
	v := voltest.New(t, "btrfs")
	shell(t, v.Dir, "btrfs -q subvolume create a; btrfs -q subvolume create a/in; btrfs -q subvolume snapshot a s; mkdir -p b/in; touch -r s b; chmod --reference s b")
	for _, test := range []struct {
		script string
		want   []string
	}{
		{"true", nil},
		{"chmod 700 b/in", []string{"in: mode: 0755 | 0700"}},
		{"touch b/in/file", []string{"in/file: name: nothing | a file", "in: mode: 0755 | 0700"}},
	} {
		shell(t, v.Dir, test.script)
		if lines, _ := diff(t, v.Dir+"/s", v.Dir+"/b", true); !slices.Equal(lines, test.want) {
			t.Errorf("%s: %q", test.script, lines)
		}
	}
	if lines, _ := diff(t, v.Dir+"/a", v.Dir+"/b", true); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "in: mtime: ") }) {
		t.Errorf("%q", lines)
	}
}

func TestCompareNamesWhatItCannotRead(t *testing.T) {
	a := voltest.New(t, "ext4")
	shell(t, a.Dir, "mkdir -p a/dir b/dir; echo x > a/dir/file; mkdir a/other; echo y > a/other/file; cp -a a/. b")
	inner := voltest.New(t, "tmpfs", voltest.At(filepath.Join(a.Dir, "b", "dir")))
	shell(t, a.Dir, "cp -a a/dir/. b/dir/; touch -r a/dir b/dir; chmod --reference a/dir b/dir; touch -r a b")
	shell(t, a.Dir, "mount --bind a a && umount a")
	if lines, _ := diff(t, a.Dir+"/a", a.Dir+"/b", true); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	_ = inner
	// A shut down file system answers EIO.
	broken := voltest.New(t, "xfs", voltest.At(filepath.Join(a.Dir, "b", "other")))
	shell(t, a.Dir, "cp -a a/other/. b/other/; touch -r a/other b/other; sync")
	f := got[*os.File](t)(os.Open(broken.Dir))
	must(t, shutdown(f))
	f.Close()
	lines, r := diff(t, a.Dir+"/a", a.Dir+"/b", true)
	if r.Unreadable == 0 || !strings.Contains(strings.Join(lines, "\n"), "input/output error") {
		t.Errorf("%+v %q", r, lines)
	}
}

func TestCompareDeepTrees(t *testing.T) {
	v := voltest.New(t, "tmpfs")
	for _, side := range []string{"a", "b"} {
		must(t, os.Mkdir(filepath.Join(v.Dir, side), 0o755))
		d := got[*Dir](t)(OpenPath(filepath.Join(v.Dir, side)))
		for i := range 600 {
			for _, name := range []string{"d", "e", "f"} {
				must(t, d.Mkdir(name))
			}
			if i == 500 && side == "b" {
				must(t, d.Mkdir("extra"))
			}
			next := got[*Dir](t)(d.OpenDir("e"))
			d.Close()
			d = next
		}
		d.Close()
	}
	shell(t, v.Dir, `python3 - <<'X'
import os
for side in ("a","b"):
  os.chdir("`+v.Dir+`/"+side)
  os.utime(".", ns=(0,0))
  for i in range(600):
    for n in os.listdir("."): os.utime(n, ns=(0,0))
    os.chdir("e")
X`)
	lines, r := diff(t, v.Dir+"/a", v.Dir+"/b", false)
	want := strings.Repeat("e/", 500) + "extra: name: nothing | a directory"
	if len(lines) != 1 || lines[0] != want || r.Objects != 3*600+1 {
		t.Errorf("%+v %.200q", r, lines)
	}
	// With few descriptors it works, too.
	if n := len(got[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd"))); n > 30 {
		t.Errorf("%d descriptors are open", n)
	}
	command(v.Dir, "rm -rf a b").Run()
}

// shutdown makes an xfs fail at once, without flushing anything (XFS_IOC_GOINGDOWN, flag 2).
func shutdown(f *os.File) error { return unix.IoctlSetPointerInt(int(f.Fd()), 0x8004587d, 2) }

func TestCompareAgreesWithRsync(t *testing.T) {
	if _, err := exec.LookPath("rsync"); err != nil {
		voltest.Skip(t, "rsync", "install rsync")
	}
	a := voltest.New(t, "btrfs")
	shell(t, a.Dir, "mkdir a; cd a;"+planted)
	shell(t, a.Dir, "rsync -aHAXS a/ b/")
	if lines, _ := diff(t, a.Dir+"/a", a.Dir+"/b", true); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}

// TestCompareNamesThatOneSideCannotHave finds them missing there, whatever the kernel calls that.
func TestCompareNamesThatOneSideCannotHave(t *testing.T) {
	a, b := voltest.New(t, "ext4"), voltest.New(t, "exfat")
	want := []string{"\xff: name: a file | nothing", "a:b\n: name: a file | nothing"}
	shell(t, a.Dir, "printf x > $'\\xff'; printf x > $'a:b\\n'")
	lines, result := diff(t, a.Dir, b.Dir, false)
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("%q is not among %q", line, lines)
		}
	}
	if result.Unreadable != 0 {
		t.Errorf("%+v", result)
	}
}
