package hive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/advisory/hive"
	"github.com/weirfs/weir/internal/wintest"
)

// counting counts what is read, since a hive may be made so that little of it is read again and again.
type counting struct {
	r     io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(p []byte, offset int64) (int, error) {
	c.bytes += len(p)
	return c.r.ReadAt(p, offset)
}

// use does with a file all that can be done with a hive and fails the test if one call reads much more than there is.
func use(t testing.TB, file []byte) {
	c := &counting{r: bytes.NewReader(file)}
	bounded := func(what string) {
		if c.bytes > 16*len(file)+1<<16 {
			t.Fatalf("%s read %d bytes of a file of %d", what, c.bytes, len(file))
		}
		c.bytes = 0
	}
	h, err := hive.Open(c, int64(len(file)))
	bounded("open")
	if err != nil {
		return
	}
	h.Dirty()
	for _, path := range []string{"", "Microsoft", packages + `\nothing`, `Microsoft\Windows NT\CurrentVersion`, "Жук"} {
		k, err := h.Key(path)
		if c.bytes /= 8; err != nil { // there are so many levels
			bounded("key")
			continue
		}
		bounded("key")
		below, err := k.Keys()
		if err == nil && len(below) > len(file)/80 {
			t.Fatalf("%d keys in %d bytes", len(below), len(file))
		}
		bounded("keys")
		for _, one := range below {
			if _, err := one.Number("CurrentState"); err == nil && one.Name() == "" {
				t.Fatal("a value of a key without a name")
			}
		}
		bounded("values of all keys")
		for _, name := range []string{"", "CurrentVersion", "long", "имя"} {
			text, err := k.String(name)
			if err == nil && len(text) > 3<<20 {
				t.Fatalf("a text of %d bytes", len(text))
			}
			bounded("string")
			if _, err = k.Number(name); err == nil && name == "long" {
				t.Fatal("a text is a number")
			}
			bounded("number")
		}
		if _, err := k.Strings("Pending"); err != nil && err.Error() == "" {
			t.Fatal("an error that says nothing")
		}
		bounded("strings")
	}
}

func TestEveryFlippedBitAndEveryCut(t *testing.T) {
	small := wintest.Hive{PerList: 2}
	small.Root.Put("Microsoft", wintest.Text("CurrentVersion", "6.0"), wintest.Number("InstallDate", 1), wintest.Texts("Pending", "a"))
	small.Root.Put("Session", wintest.Texts("Pending", "", "b"))
	small.Root.Put("Жук", wintest.Text("имя", "значение"))
	for minor, flips := range map[uint32][]byte{3: {0xff}, 5: {1, 2, 4, 8, 16, 32, 64, 128}} {
		small.Minor = minor
		file := small.Bytes()
		for at := range bytes.TrimRight(file, "\x00") {
			if at >= 512 && at < 0x1000 {
				continue // nothing reads the rest of the header
			}
			for _, flip := range flips {
				bad := slices.Clone(file)
				bad[at] ^= flip
				use(t, bad)
			}
		}
		for cut := 0; cut <= len(file); cut++ {
			use(t, file[:cut])
		}
	}
	long := wintest.Hive{}
	long.Root.Put("Жук", wintest.Text("long", longText))
	file, text := long.Bytes(), wintest.Text("", longText[:40]).Data
	for at := 0x1000; at < len(file)-16; at++ {
		if !bytes.Contains(text, file[at:at+16]) { // all but what is inside of the text
			bad := slices.Clone(file)
			bad[at+8] ^= 0xff
			use(t, bad)
		}
	}
}

func TestAListThatNamesTheSameKeyAgainAndAgainIsRefused(t *testing.T) {
	h := wintest.Hive{Root: wintest.HiveKey{Keys: make([]wintest.HiveKey, 60000)}, Plain: true, PerList: 60000}
	for i := range h.Root.Keys {
		h.Root.Keys[i].Name = "x"
	}
	file := h.Bytes()
	use(t, file)
	// The same list, in a file that has no room for so many keys.
	short := slices.Concat(file[:0x1000], file[len(file)-0x3d000:])
	if k, err := open(t, reseal(short)).Key("x"); err == nil || errors.Is(err, hive.ErrAbsent) {
		t.Error(k, err)
	}
}

// TestKeysThatShareTheirValuesAreRefused has many keys with the one long list of values, each of which would be looked through.
func TestKeysThatShareTheirValuesAreRefused(t *testing.T) {
	h := wintest.Hive{Root: wintest.HiveKey{Keys: make([]wintest.HiveKey, 2000)}}
	for i := range h.Root.Keys {
		h.Root.Keys[i].Name = "x"
		h.Root.Keys[i].Values = []wintest.HiveValue{wintest.Number("OtherNumbers", 1)}
	}
	h.Root.Keys[0].Values = slices.Repeat(h.Root.Keys[0].Values, 2000)
	file := h.Bytes()
	if keys, err := key(t, open(t, file), "").Keys(); err != nil || len(keys) != 2000 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	nodes := func(yield func([]byte) bool) {
		for at := 0x1000; at+48 < len(file); at += 8 {
			if string(file[at+4:at+6]) == "nk" && string(file[at+80:at+81]) == "x" && !yield(file[at+4:]) {
				return
			}
		}
	}
	var first []byte
	for node := range nodes {
		if first == nil {
			first = slices.Clone(node[36:44])
		}
		copy(node[36:44], first)
	}
	use(t, file)
	if keys, err := key(t, open(t, file), "").Keys(); err == nil || !strings.Contains(err.Error(), "than the file has room for") {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func reseal(file []byte) []byte {
	size := len(file) - 0x1000
	copy(file[40:], []byte{byte(size), byte(size >> 8), byte(size >> 16), 0})
	wintest.SealHive(file)
	return file
}

func FuzzHive(f *testing.F) {
	for _, h := range variants() {
		h.PerList = 2
		h.Root.Put(packages+`\a`, wintest.Number("InstallDate", 1))
		h.Root.Put("Жук", wintest.Text("имя", "значение"), wintest.Texts("Pending", "", "b"), wintest.Text("long", longText[:9000]))
		f.Add(h.Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) <= 1<<20 {
			use(t, file)
		}
	})
}
