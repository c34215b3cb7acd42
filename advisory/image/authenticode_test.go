package image

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/wintest"
)

func TestASignatureDoesNotChangeTheHash(t *testing.T) {
	for size := 4096; size < 4096+8; size++ {
		p := driver()
		p.Size = size
		b := p.Bytes()
		before, err := Authenticode(b, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		after, err := Authenticode(signed(b), crypto.SHA256)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%d bytes: hashed %x unsigned, and %x, %v signed", size, before, after, err)
		}
	}
}

// TestBytesAreLeftOutOnlyAtTheEnd moves sections by a table of certificates that is not the last of the file: without it, the
// bytes are those of the original, and their places in memory are not.
func TestBytesAreLeftOutOnlyAtTheEnd(t *testing.T) {
	b := driver().Bytes()
	with := func(b []byte, at, size int) []byte {
		const entry = 0x80 + 24 + 128
		b = slices.Clone(b)
		binary.LittleEndian.PutUint32(b[entry:], uint32(at))
		binary.LittleEndian.PutUint32(b[entry+4:], uint32(size))
		return b
	}
	inserted := slices.Concat(b[:0x400], make([]byte, 512), b[0x400:])
	for name, test := range map[string]struct {
		b    []byte
		want error
		text string
	}{
		"between headers and sections": {with(inserted, 0x400, 512), ErrDamaged, "and the file has"},
		"something behind it":          {append(signed(b), 0), ErrDamaged, "and the file has"},
		"from within a section":        {with(b, len(b)-64, 64), ErrDamaged, "within a section"},
		"from within the headers":      {with(b, 0x300, len(b)-0x300), ErrDamaged, "within its headers"},
		"from an odd place":            {with(append(b, make([]byte, 67)...), len(b)+3, 64), ErrDamaged, "are at bytes"},
		"beyond the file":              {with(b, len(b), 64), ErrTruncated, "certificates end"},
		"far beyond the file":          {with(b, 0xffffffff, 0xffffffff), ErrTruncated, "certificates end"},
	} {
		got, err := Authenticode(test.b, crypto.SHA256)
		if got != nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: hashed %x, %v; want %v that tells of %q", name, got, err, test.want, test.text)
		}
	}
}

func TestAFileWithoutVersionHasAHash(t *testing.T) {
	if got, err := Authenticode(wintest.PE{NoResource: true}.Bytes(), crypto.SHA1); len(got) != 20 || err != nil {
		t.Errorf("hashed %x, %v", got, err)
	}
}

func TestOtherHashesAreRefused(t *testing.T) {
	if got, err := Authenticode(driver().Bytes(), crypto.MD5); got != nil || err == nil || !strings.Contains(err.Error(), "MD5") {
		t.Errorf("hashed %x, %v", got, err)
	}
}
