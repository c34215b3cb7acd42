package catalog

import (
	"bytes"
	"crypto"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/wintest"
)

func TestMembersOfBothVersions(t *testing.T) {
	for version := 1; version <= 2; version++ {
		c, err := Parse(list(version).Unsigned())
		if err != nil {
			t.Fatal(err)
		}
		if !c.Made.Equal(list(version).Made) || len(c.Members) != 2 || c.Unread != 0 {
			t.Fatalf("version %d: %+v", version, c)
		}
		for i, want := range []Member{
			{Algorithm: crypto.SHA1, Hash: sum(20), File: "fltmgr.sys", OS: "2:5.2"},
			{Algorithm: crypto.SHA256, Hash: sum(32), File: "ntoskrnl.exe", OS: "2:6.0"},
		} {
			got := c.Members[i]
			if got.Algorithm != want.Algorithm || !bytes.Equal(got.Hash, want.Hash) || got.File != want.File || got.OS != want.OS {
				t.Errorf("version %d: %+v, want %+v", version, got, want)
			}
			if found, ok := c.Find(want.Algorithm, want.Hash); !ok || found.File != want.File {
				t.Errorf("version %d: %s is not found by its hash", version, want.File)
			}
		}
		if _, ok := c.Find(crypto.SHA1, make([]byte, 20)); ok {
			t.Error("a hash that is not there is found")
		}
	}
}

func TestMemberWithoutUsableHashIsCountedAndNotListed(t *testing.T) {
	for name, m := range map[string]wintest.CatalogMember{
		"MD5":                             {Hash: make([]byte, 16)},
		"text for an identifier, no hash": {Hash: sum(20), ID: []byte("n\x00a\x00m\x00e\x00"), Bare: true},
		"two different hashes":            {Hash: sum(20), ID: make([]byte, 20)},
	} {
		l := list(2)
		l.Members = append(l.Members, m)
		c, err := Parse(l.Unsigned())
		if err != nil || len(c.Members) != 2 || c.Unread != 1 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	l := list(1)
	l.Members = []wintest.CatalogMember{{Hash: sum(32), Bare: true}, {Hash: sum(20), ID: []byte("f\x001\x00")}}
	if c, err := Parse(l.Unsigned()); err != nil || len(c.Members) != 2 || c.Unread != 0 {
		t.Errorf("a hash that only the identifier or only the attribute has: %+v, %v", c, err)
	}
}

func TestNamesArePrintableAndShort(t *testing.T) {
	l := list(2)
	l.Members[0].File = "evil\x1b[2J\n" + strings.Repeat("x", 4000)
	c, err := Parse(l.Unsigned())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Members[0].File; !strings.HasPrefix(got, "evil\ufffd[2J\ufffdx") || len([]rune(got)) > maxText {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoCatalogIsRefused(t *testing.T) {
	good := list(1).Unsigned()
	for name, data := range map[string][]byte{
		"nothing":                {},
		"other content":          wintest.SignedData("1.2.840.113549.1.7.1", wintest.DER(0x04, []byte("x")), nil, nil, nil),
		"a list of another use":  bytes.Replace(good, wintest.DEROID(oidCatalogList), wintest.DEROID("1.3.6.1.4.1.311.12.1.9"), 1),
		"members of other kinds": bytes.Replace(good, wintest.DEROID(oidMembers1), wintest.DEROID("1.3.6.1.4.1.311.12.1.9"), 1),
		"something after it":     append(bytes.Clone(good), 1),
		"too large":              make([]byte, MaxSize+1),
		"deep":                   bytes.Repeat([]byte{0x30, 0x80}, MaxSize/2),
		"too many values":        manyValues(),
		"an endless value":       {0x30, 0x80, 0x30, 0x80},
	} {
		if _, err := Parse(data); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse(append(bytes.Clone(good), 0, 0, 0)); err != nil {
		t.Errorf("padding: %v", err)
	}
}

// manyValues is a list with a member that would need much memory for its size.
func manyValues() []byte {
	attr := wintest.DER(0x30, wintest.DEROID("1.2"), wintest.DER(0x31, bytes.Repeat([]byte{5, 0}, maxValues+1)))
	member := wintest.DER(0x30, wintest.DER(4, sum(20)), wintest.DER(0x31, attr))
	return wintest.SignedData(oidTrustList, wintest.DER(0x30, wintest.DER(0x30, wintest.DEROID(oidCatalogList)), wintest.DERTime(signingTime),
		wintest.DER(0x30, wintest.DEROID(oidMembers2)), wintest.DER(0x30, member)), nil, nil, nil)
}

func TestIndefiniteLengthsReadTheSame(t *testing.T) {
	w := theWorld()
	der := stamped(list(1), w.leaf, token)
	plain := proofOf(t, der, given(t, w.root))
	ber := indefinite(der)
	if bytes.Equal(der, ber) {
		t.Fatal("nothing was changed")
	}
	got := proofOf(t, ber, given(t, w.root))
	if !plain.Proved() || !got.Proved() {
		t.Errorf("%q, in indefinite lengths %q", plain.Unproved, got.Unproved)
	}
	back, rest, err := toDER(ber)
	if err != nil || len(rest) != 0 || !bytes.Equal(back, der) {
		t.Errorf("it is not the same again: %d bytes left, %v", len(rest), err)
	}
}

// indefinite writes a value with marked ends, and octet strings in two pieces.
func indefinite(der []byte) []byte {
	h, _ := readHeader(der)
	content := der[h.size : h.size+h.length]
	if h.class == universal && h.tag == tagOctets && len(content) > 1 {
		out := append([]byte{0x24, 0x80}, wintest.DER(4, content[:1])...)
		return append(append(out, wintest.DER(4, content[1:])...), 0, 0)
	}
	if !h.constructed {
		return der[:h.size+h.length]
	}
	out := []byte{der[0], 0x80}
	for len(content) > 0 {
		inner, _ := readHeader(content)
		size := inner.size + inner.length
		out = append(out, indefinite(content[:size])...)
		content = content[size:]
	}
	return append(out, 0, 0)
}
