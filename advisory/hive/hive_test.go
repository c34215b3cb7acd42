package hive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/advisory/hive"
	"github.com/weirfs/weir/internal/wintest"
)

const packages = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages`

// software returns a small hive with what an advisory reads, a long value, names that are not ASCII, and many packages.
func software(h wintest.Hive, many int) wintest.Hive {
	h.Root.Name = "ROOT"
	h.Root.Put(`Microsoft\Windows NT\CurrentVersion`, wintest.Text("CurrentVersion", "6.0"), wintest.Text("CSDVersion", ""),
		wintest.HiveValue{Name: "PathName", Type: 2, Data: wintest.Text("", `%SystemRoot%\x`).Data},
		wintest.Text("", "default"), wintest.Number("InstallDate", 0x4ad0f1ee),
		wintest.HiveValue{Name: "DigitalProductId", Type: 3, Data: []byte{1, 2, 3}})
	h.Root.Put("Ünïcode", wintest.Text("größe", "naïve"))
	h.Root.Put("Жук", wintest.Text("имя", "значение"), wintest.Text("long", longText))
	h.Root.Put("Session", wintest.Texts("Pending", `\??\C:\a`, "", `\??\C:\b`, `!\??\C:\c`), wintest.Texts("None"))
	h.Root.Put(packages)
	for i := range many {
		h.Root.Put(fmt.Sprintf(`%s\Package_%05d_for_KB975759`, packages, i), wintest.Number("CurrentState", uint32(i)))
	}
	return h
}

var longText = strings.Repeat("ten chars.", 4000)

func variants() map[string]wintest.Hive {
	return map[string]wintest.Hive{
		"1.3 lf":    {Minor: 3},
		"1.4 lf":    {Minor: 4},
		"1.5 lh":    {Minor: 5},
		"1.6 ri":    {Minor: 6, PerList: 7},
		"1.3 ri li": {Minor: 3, Plain: true, PerList: 20},
	}
}

func open(t testing.TB, file []byte) *hive.Hive {
	t.Helper()
	h, err := hive.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func key(t testing.TB, h *hive.Hive, path string) hive.Key {
	t.Helper()
	k, err := h.Key(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatWasBuiltIsRead(t *testing.T) {
	for name, variant := range variants() {
		t.Run(name, func(t *testing.T) {
			h := open(t, software(variant, 60).Bytes())
			if h.Dirty() {
				t.Error("a clean hive is dirty")
			}
			text := func(path, name, want string) {
				t.Helper()
				if got, err := key(t, h, path).String(name); err != nil || got != want {
					t.Errorf("%s %s: %.40q, %v, want %.40q", path, name, got, err, want)
				}
			}
			text(`microsoft\WINDOWS nt\CurrentVersion`, "currentversion", "6.0")
			text(`Microsoft\Windows NT\CurrentVersion`, "CSDVersion", "")
			text(`Microsoft\Windows NT\CurrentVersion`, "PathName", `%SystemRoot%\x`)
			text(`Microsoft\Windows NT\CurrentVersion`, "", "default")
			text("üNÏCODE", "GRÖßE", "naïve")
			text("жУК", "ИМЯ", "значение")
			text("Жук", "long", longText)
			if n, err := key(t, h, `Microsoft\Windows NT\CurrentVersion`).Number("INSTALLDATE"); err != nil || n != 0x4ad0f1ee {
				t.Errorf("number: %#x, %v", n, err)
			}
			if b, err := key(t, h, `Microsoft\Windows NT\CurrentVersion`).Bytes("digitalproductid"); err != nil || !bytes.Equal(b, []byte{1, 2, 3}) {
				t.Errorf("bytes: %x, %v", b, err)
			}
			pending, err := key(t, h, "session").Strings("pending")
			if want := []string{`\??\C:\a`, "", `\??\C:\b`, `!\??\C:\c`}; err != nil || !slices.Equal(pending, want) {
				t.Errorf("strings: %q, %v", pending, err)
			}
			if none, err := key(t, h, "session").Strings("none"); err != nil || len(none) != 0 {
				t.Errorf("no strings: %q, %v", none, err)
			}
			all, err := key(t, h, packages).Keys()
			if err != nil || len(all) != 60 || all[59].Name() != "Package_00059_for_KB975759" {
				t.Fatalf("%d packages: %.3q, %v", len(all), names(all), err)
			}
			if n, err := all[59].Number("CurrentState"); err != nil || n != 59 {
				t.Errorf("the state of a package that was listed: %d, %v", n, err)
			}
			if top, err := namesBelow(key(t, h, "")); err != nil || !slices.Equal(top, []string{"Microsoft", "Session", "Ünïcode", "Жук"}) {
				t.Errorf("keys of the root: %q, %v", top, err)
			}
			if n, err := key(t, h, packages+`\Package_00059_for_KB975759`).Number("CurrentState"); err != nil || n != 59 {
				t.Errorf("a package's state: %d, %v", n, err)
			}
		})
	}
}

func names(keys []hive.Key) (all []string) {
	for _, k := range keys {
		all = append(all, k.Name())
	}
	return all
}

func namesBelow(k hive.Key) ([]string, error) {
	keys, err := k.Keys()
	return names(keys), err
}

func TestAbsentIsNotTheWrongTypeAndNotDamage(t *testing.T) {
	h := open(t, software(wintest.Hive{}, 3).Bytes())
	for _, path := range []string{"nothing", `Microsoft\nothing`, `nothing\below`, `Ünïcode\x`} {
		if _, err := h.Key(path); !errors.Is(err, hive.ErrAbsent) {
			t.Errorf("key %q: %v", path, err)
		}
	}
	for _, path := range []string{`\`, `Microsoft\`, `\Microsoft`, strings.Repeat(`a\`, 600) + "a"} {
		if _, err := h.Key(path); err == nil || errors.Is(err, hive.ErrAbsent) {
			t.Errorf("a path that is none, %.20q: %v", path, err)
		}
	}
	k := key(t, h, `Microsoft\Windows NT\CurrentVersion`)
	if _, err := k.String("nothing"); !errors.Is(err, hive.ErrAbsent) {
		t.Errorf("value: %v", err)
	}
	if _, err := key(t, h, "Microsoft").Number(""); !errors.Is(err, hive.ErrAbsent) {
		t.Errorf("value of a key without values: %v", err)
	}
	_, err1 := k.String("InstallDate")
	_, err2 := k.Strings("CurrentVersion")
	_, err3 := k.Number("DigitalProductId")
	_, err4 := hive.Key{}.String("x")
	_, err5 := hive.Key{}.Keys()
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err == nil || errors.Is(err, hive.ErrAbsent) {
			t.Errorf("a value of another type, or a key that is none: %v", err)
		}
	}
}

func TestDirty(t *testing.T) {
	if !open(t, wintest.Hive{Dirty: true}.Bytes()).Dirty() {
		t.Error("different sequence numbers are not dirty")
	}
	file := wintest.Hive{}.Bytes()
	file[60]++
	if !open(t, file).Dirty() {
		t.Error("a wrong checksum is not dirty")
	}
}

func TestFilesThatAreNoHives(t *testing.T) {
	good := wintest.Hive{}.Bytes()
	for name, change := range map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"short":         func(b []byte) []byte { return b[:4095] },
		"cut off":       func(b []byte) []byte { return b[:len(b)-1] },
		"text":          func(b []byte) []byte { return bytes.Repeat([]byte("text"), 2048) },
		"a log":         func(b []byte) []byte { b[28] = 1; return b },
		"version 1.2":   func(b []byte) []byte { b[24] = 2; return b },
		"version 1.7":   func(b []byte) []byte { b[24] = 7; return b },
		"version 2.5":   func(b []byte) []byte { b[20] = 2; return b },
		"a huge length": func(b []byte) []byte { b[43] = 0xff; return b },
	} {
		file := change(slices.Clone(good))
		if _, err := hive.Open(bytes.NewReader(file), int64(len(file))); err == nil || errors.Is(err, hive.ErrAbsent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing fails from an offset on, as a bad sector does.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, offset)
}

func TestAReadThatFailsIsNotAbsence(t *testing.T) {
	file, bad := software(wintest.Hive{}, 200).Bytes(), errors.New("bad sector")
	for from := int64(0); from < int64(len(file)); from += 512 {
		h, err := hive.Open(failing{bytes.NewReader(file), from, bad}, int64(len(file)))
		if err == nil {
			_, err = h.Key(packages + `\nothing`)
		}
		if !errors.Is(err, bad) && !errors.Is(err, hive.ErrAbsent) || from < 0x2000 && !errors.Is(err, bad) {
			t.Fatalf("from %#x: %v", from, err)
		}
	}
}

// at finds a record by what it holds, so that a test can change it.
func at(t *testing.T, file []byte, what string) int {
	t.Helper()
	i := bytes.Index(file, []byte(what))
	if i < 0 {
		t.Fatalf("the hive has no %q", what)
	}
	return i
}

func TestListsThatLieAreDamage(t *testing.T) {
	put := binary.LittleEndian.PutUint32
	for name, change := range map[string]func(file []byte){
		"a list of lists in itself":   func(f []byte) { i := at(t, f, "ri"); put(f[i+4:], uint32(i-4-0x1000)) },
		"one key too few":             func(f []byte) { f[at(t, f, "Packages")-76+20]-- },
		"one key too many":            func(f []byte) { f[at(t, f, "Packages")-76+20]++ },
		"more keys than fit":          func(f []byte) { put(f[at(t, f, "Packages")-76+20:], 1<<31) },
		"a list outside":              func(f []byte) { put(f[at(t, f, "Packages")-76+28:], 0xfffffff8) },
		"a list that is no multiple":  func(f []byte) { f[at(t, f, "Packages")-76+28]++ },
		"a name that is too long":     func(f []byte) { f[at(t, f, "Package_00001")-4]++; f[at(t, f, "Package_00001")-3] = 1 },
		"a subkey that is free":       func(f []byte) { f[at(t, f, "Package_00001")-77] = 0 },
		"a subkey that is a value":    func(f []byte) { copy(f[at(t, f, "Package_00001")-76:], "vk") },
		"a list of the wrong kind":    func(f []byte) { copy(f[at(t, f, "lh"):], "xx") },
		"a list that is longer":       func(f []byte) { f[at(t, f, "lh")+3] = 1 },
		"a root that is not there":    func(f []byte) { put(f[36:], 0xfffffff8) },
		"a root that is no key":       func(f []byte) { put(f[36:], 0x20) },
		"a name of an odd number":     func(f []byte) { f[at(t, f, "Package_00001")-74] &^= 0x20; f[at(t, f, "Package_00001")-4] = 5 },
		"a cell larger than the file": func(f []byte) { f[at(t, f, "Package_00001")-77] = 0x80 },
	} {
		file := software(wintest.Hive{PerList: 5}, 20).Bytes()
		change(file)
		h := open(t, file)
		k, err := h.Key(packages + `\nothing`)
		if err == nil || errors.Is(err, hive.ErrAbsent) {
			t.Errorf("%s: %v, %v", name, k, err)
		}
		t.Log(err)
	}
}

func TestValuesThatLieAreDamage(t *testing.T) {
	put := binary.LittleEndian.PutUint32
	for name, change := range map[string]func(file []byte){
		"data outside":                 func(f []byte) { put(f[at(t, f, "CurrentVersi")-12:], 0xfffffff8) },
		"too long":                     func(f []byte) { put(f[at(t, f, "CurrentVersi")-16:], 1<<30) },
		"longer than its cell":         func(f []byte) { put(f[at(t, f, "CurrentVersi")-16:], 200) },
		"long and no segments":         func(f []byte) { put(f[at(t, f, "CurrentVersi")-16:], 40000) },
		"too long to be in the record": func(f []byte) { put(f[at(t, f, "CurrentVersi")-16:], 1<<31|5) },
		"half a character":             func(f []byte) { put(f[at(t, f, "CurrentVersi")-16:], 1<<31|3) },
		"no value":                     func(f []byte) { copy(f[at(t, f, "CurrentVersi")-20:], "nk") },
	} {
		h := wintest.Hive{}
		h.Root.Put("a", wintest.Text("CurrentVersi", "6.0"))
		file := h.Bytes()
		change(file)
		if text, err := key(t, open(t, file), "a").String("currentversi"); err == nil || errors.Is(err, hive.ErrAbsent) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestTextsWithoutTheirEnd(t *testing.T) {
	for raw, want := range map[string][]string{
		"": nil, "\x00": nil, "\x00\x00": nil, "a": {"a"}, "a\x00": {"a"}, "a\x00\x00": {"a"}, "a\x00\x00\x00": {"a", ""},
		"\x00b\x00\x00": {"", "b"}, "a\x00b": {"a", "b"},
	} {
		data := wintest.Text("", raw).Data
		h := wintest.Hive{}
		h.Root.Put("a", wintest.HiveValue{Name: "v", Type: 7, Data: data[:len(data)-2]})
		if got, err := key(t, open(t, h.Bytes()), "a").Strings("v"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", raw, got, err)
		}
	}
}
