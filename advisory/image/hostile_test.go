package image

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirfs/weir/internal/wintest"
)

// signed appends a certificate table of 64 bytes, which hold no certificate, to an executable of 32 bits.
func signed(b []byte) []byte {
	b = append(slices.Clone(b), make([]byte, -len(b)&7)...)
	const entry = 0x80 + 24 + 128
	binary.LittleEndian.PutUint32(b[entry:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[entry+4:], 64)
	return append(b, bytes.Repeat([]byte{0x5a}, 64)...)
}

// check holds whatever Read and Authenticode answer against what they promise.
func check(t *testing.T, b []byte) (hash []byte) {
	t.Helper()
	known := func(err error) bool {
		return slices.ContainsFunc([]error{ErrNotImage, ErrTooLarge, ErrTruncated, ErrDamaged, ErrNoVersion},
			func(e error) bool { return errors.Is(err, e) })
	}
	m, err := Read(b)
	switch {
	case (m == nil) != (err != nil), err != nil && !known(err):
		t.Fatalf("read %+v, %v", m, err)
	case err == nil:
		for _, s := range []string{m.FileVersion, m.OriginalFilename} {
			if bad := bytes.IndexFunc([]byte(s), func(r rune) bool { return !unicode.IsPrint(r) }); bad >= 0 || !utf8.ValidString(s) ||
				utf8.RuneCountInString(s) > maxText || bytes.HasSuffix([]byte(s), []byte(" ")) {
				t.Fatalf("read the string %q", s)
			}
		}
	}
	hash, hashErr := Authenticode(b, crypto.SHA256)
	if (len(hash) == 32) != (hashErr == nil) || hashErr != nil && (!known(hashErr) || errors.Is(hashErr, ErrNoVersion)) {
		t.Fatalf("hashed %x, %v", hash, hashErr)
	}
	if err == nil && hashErr != nil && !errors.Is(hashErr, ErrDamaged) {
		t.Fatalf("read it, and did not hash it: %v", hashErr)
	}
	return hash
}

func TestEveryTruncationIsTold(t *testing.T) {
	for name, whole := range map[string][]byte{"unsigned": driver().Bytes(), "signed": signed(driver().Bytes())} {
		for n := range whole {
			check(t, whole[:n])
			_, err := Read(whole[:n])
			_, hashErr := Authenticode(whole[:n], crypto.SHA1)
			if !errors.Is(err, ErrTruncated) || !errors.Is(hashErr, ErrTruncated) {
				t.Fatalf("%s, %d of %d bytes: read %v, hashed %v", name, n, len(whole), err, hashErr)
			}
		}
	}
}

// TestEveryFlippedBitIsAnswered also shows what the hash depends on: on all that it is said to, and on nothing else.
func TestEveryFlippedBitIsAnswered(t *testing.T) {
	const checksum, entry = 0x80 + 24 + 64, 0x80 + 24 + 128
	for name, b := range map[string][]byte{"unsigned": driver().Bytes(), "signed": signed(driver().Bytes())} {
		original, certificates := check(t, b), len(b)
		if name == "signed" {
			certificates -= 64
		}
		for i := range b {
			without := i >= checksum && i < checksum+4 || i >= entry && i < entry+8 || i >= certificates
			for bit := range 8 {
				b[i] ^= 1 << bit
				hash := check(t, b)
				if name == "signed" && i >= entry && i < entry+8 {
					hash = nil // a size of 0 makes the certificates part of what is hashed
				}
				if hash != nil && bytes.Equal(hash, original) != without {
					t.Fatalf("%s: bit %d of byte %#x: the hash is the same: %v, want %v", name, bit, i, !without, without)
				}
				b[i] ^= 1 << bit
			}
		}
	}
}

// TestEveryWordOfTheResourceIsAnswered puts numbers at the edge into all places of the section that leads to the version.
func TestEveryWordOfTheResourceIsAnswered(t *testing.T) {
	b := driver().Bytes()
	for at := 0x600; at+4 <= len(b); at += 2 {
		for _, value := range []uint32{0, 1, 5, 0x7fff, 0xffff, 1 << 31, 1<<31 | 24, 0x7fffffff, 0xffffffff, 0xfffffffc} {
			before := binary.LittleEndian.Uint32(b[at:])
			binary.LittleEndian.PutUint32(b[at:], value)
			check(t, b)
			binary.LittleEndian.PutUint32(b[at:], before)
		}
	}
}

// TestATreeOfTreesCostsNothing gives Read a tree whose every directory has a thousand entries that lead to directories of as
// many, and a version resource of the largest size that is made of nothing but heads.
func TestATreeOfTreesCostsNothing(t *testing.T) {
	const entries = 1000
	tree := make([]byte, 0, 8<<20)
	for range 1000 {
		tree = binary.LittleEndian.AppendUint32(append(tree, make([]byte, 12)...), entries<<16)
		for i := range uint32(entries) {
			tree = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(tree, i), 1<<31|i*(16+8*entries))
		}
	}
	p := driver()
	p.Resource = tree
	b := p.Bytes()
	binary.LittleEndian.PutUint32(b[0x80+24+96+16:], 0x2000+3*24+16) // the tree itself as the resources
	heads := driver()
	var strings []byte
	for len(strings) < 65000 {
		strings = append(strings, 8, 0, 0, 0, 1, 0, 0, 0)
	}
	strings = wintest.VersionBlock(nil, "StringFileInfo", true, nil, wintest.VersionBlock(nil, "040904b0", true, nil, strings...)...)
	heads.Resource = wintest.VersionBlock(nil, "VS_VERSION_INFO", false, driver().VersionResource()[40:92], strings...)
	for name, b := range map[string][]byte{"tree": b, "heads": heads.Bytes()} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		m, err := Read(b)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 || took > 5*time.Second {
			t.Errorf("%s: it took %v and %d bytes: %+v, %v", name, took, used, m, err)
		}
		if name == "tree" && !errors.Is(err, ErrDamaged) || name == "heads" && err != nil {
			t.Errorf("%s: read %+v, %v", name, m, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, p := range []wintest.PE{driver(), {Machine: 0x8664}, {Machine: 0x200, Size: 4099}, {NoResource: true}} {
		f.Add(p.Bytes())
	}
	f.Add(signed(driver().Bytes()))
	f.Add([]byte("MZ"))
	for _, path := range realFiles() {
		if b, err := readSmall(path); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b) })
}

// FuzzVersion spares the fuzzer the way through the headers.
func FuzzVersion(f *testing.F) {
	f.Add(driver().VersionResource())
	f.Add(wintest.PE{}.VersionResource())
	f.Fuzz(func(t *testing.T, resource []byte) {
		if len(resource) < 1<<17 {
			check(t, wintest.PE{Resource: resource}.Bytes())
		}
	})
}
