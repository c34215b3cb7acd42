package index

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weirfs/weir/replica"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files: only with a new format version")

// goldenNodes are records that every later version must be able to read, or convert.
func goldenNodes() map[string]Node {
	attr := replica.Attr{
		Mode: replica.TypeFile | 0o4755, UID: 1000, GID: 100, Nlink: 2, Size: 1 << 40, Ino: 42,
		Mtime: replica.Time{Sec: -1, Nsec: 999999999}, Ctime: replica.Time{Sec: 1 << 33, Nsec: 1},
	}
	target := attr
	target.Ino, target.Ctime, target.Mode = 43, replica.Time{Sec: 5}, replica.TypeFile|0o755
	many := Node{Source: attr, Target: attr, Apart: 100_000, Gen: 1 << 50}
	return map[string]Node{
		"zero": {},
		"file": {Source: attr, Target: target, Xattrs: 0xfedcba9876543210, Gen: 7, Flags: 0x8001, Names: []Name{entry("d1", "a"), entry("d2", "b\n\xff")}},
		"link": {Source: replica.Attr{Mode: replica.TypeLink | 0o777, Size: 3}, Names: []Name{entry("", "")}, Text: "../"},
		"dev":  {Source: replica.Attr{Mode: replica.TypeBlock, Rdev: 0x801}, Target: replica.Attr{Mode: replica.TypeFile, Size: -1}},
		"many": many,
	}
}

func TestGoldenRecords(t *testing.T) {
	const path = "testdata/records-1.txt"
	nodes := goldenNodes()
	if *rewrite {
		var text strings.Builder
		for _, name := range []string{"zero", "file", "link", "dev", "many"} {
			n := nodes[name]
			fmt.Fprintf(&text, "%s %x\n", name, appendRecord(nil, &n))
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		record, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		n, err := decodeRecord("", record)
		if d := cmp.Diff(nodes[name], n); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
		if got := appendRecord(nil, &n); string(got) != string(record) {
			t.Errorf("%s is written as %x now", name, got)
		}
		delete(nodes, name)
	}
	if len(nodes) > 0 {
		t.Errorf("not in the golden file: %v", nodes)
	}
}

func TestGoldenKeys(t *testing.T) {
	s := space(0x01020304)
	name := entry("dir", "a")
	for _, c := range []struct{ got, want string }{
		{string(globalKey("k")), "gk"},
		{string(countKey(1)), "c\x00\x00\x00\x01"},
		{string(s.node("h")), "r\x01\x02\x03\x04nh"},
		{string(s.entry(name)), "r\x01\x02\x03\x04e\x03dira"},
		{string(s.link("h", name)), "r\x01\x02\x03\x04l\x01h\x03dira"},
		{string(s.value("k")), "r\x01\x02\x03\x04vk"},
		{string(after([]byte("r\x00\xff\xff"))), "r\x01"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func drawAttr() *rapid.Generator[replica.Attr] {
	moment := rapid.Custom(func(t *rapid.T) replica.Time {
		return replica.Time{Sec: rapid.Int64().Draw(t, "sec"), Nsec: rapid.Uint32().Draw(t, "nsec")}
	})
	return rapid.Custom(func(t *rapid.T) replica.Attr {
		return replica.Attr{
			Mode: rapid.Uint32().Draw(t, "mode"), UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid"),
			Nlink: rapid.Uint32().Draw(t, "nlink"), Rdev: rapid.Uint64().Draw(t, "rdev"), Size: rapid.Int64().Draw(t, "size"),
			Ino: rapid.Uint64().Draw(t, "ino"), Mtime: moment.Draw(t, "mtime"), Ctime: moment.Draw(t, "ctime"),
		}
	})
}

func TestRecordsReadAsWritten(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) Name {
		return entry(rapid.String().Draw(t, "parent"), rapid.String().Draw(t, "name"))
	})
	rapid.Check(t, func(t *rapid.T) {
		n := Node{
			Key: "k", Source: drawAttr().Draw(t, "source"), Xattrs: rapid.Uint64().Draw(t, "xattrs"),
			Gen: rapid.Uint64().Draw(t, "gen"), Flags: Flags(rapid.Uint16().Draw(t, "flags")), Text: rapid.String().Draw(t, "text"),
		}
		n.Target = n.Source
		if rapid.Bool().Draw(t, "differs") {
			n.Target = drawAttr().Draw(t, "target")
		}
		if names := rapid.SliceOfN(name, 0, 5).Draw(t, "names"); len(names) > 0 {
			n.Names = names
		}
		got, err := decodeRecord("k", appendRecord(nil, &n))
		if d := cmp.Diff(n, got); err != nil || d != "" {
			t.Fatal(err, d)
		}
	})
}

// FuzzDecodeRecord: any input is a record that reads the same again after it was written, or damage.
func FuzzDecodeRecord(f *testing.F) {
	for _, n := range goldenNodes() {
		f.Add(appendRecord(nil, &n))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		n, err := decodeRecord("k", value)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeRecord("k", appendRecord(nil, &n))
		if d := cmp.Diff(n, again); err != nil || d != "" {
			t.Fatal(err, d)
		}
	})
}

// TestEveryPrefixIsDamage: a record that was cut is not taken for a shorter one.
func TestEveryPrefixIsDamage(t *testing.T) {
	for name, n := range goldenNodes() {
		record := appendRecord(nil, &n)
		for i := range record {
			if _, err := decodeRecord("k", record[:i]); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %d of %d bytes: %v", name, i, len(record), err)
			}
		}
		if _, err := decodeRecord("k", append(record, 0)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s and a byte: %v", name, err)
		}
	}
}
