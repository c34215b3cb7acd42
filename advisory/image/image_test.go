package image

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/internal/wintest"
)

// driver is what most tests begin with.
func driver() wintest.PE {
	return wintest.PE{
		Version:     advisory.Version{5, 2, 3790, 4601},
		FileVersion: "5.2.3790.4601 (srv03_sp2_qfe.091009-1301)", OriginalFilename: "fltMgr.sys",
		ProductName: "Microsoft® Windows® Operating System",
		Strings:     map[string]string{"CompanyName": "Microsoft Corporation", "InternalName": "fltMgr.sys"},
	}
}

func TestReadTellsWhatTheFileSays(t *testing.T) {
	for _, machine := range []advisory.Machine{advisory.X86, advisory.X64, advisory.IA64, 0xaa64} {
		for _, size := range []int{0, 132096, 188984, 476160, 272457} {
			p := driver()
			p.Machine, p.Size = uint16(machine), size
			b := p.Bytes()
			got, err := Read(b)
			if err != nil {
				t.Fatalf("%v, %d bytes: %v", machine, size, err)
			}
			want := Image{machine, p.Version, p.FileVersion, p.OriginalFilename}
			if *got != want {
				t.Errorf("%v, %d bytes: read\n%+v, want\n%+v", machine, size, *got, want)
			}
		}
	}
}

func TestAnExecutableWithoutStringsHasAVersion(t *testing.T) {
	got, err := Read(wintest.PE{Version: advisory.Version{6, 0, 6003, 20489}}.Bytes())
	if err != nil || got.Version.String() != "6.0.6003.20489" || got.FileVersion+got.OriginalFilename != "" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestTheErrorSaysWhatIsWrong(t *testing.T) {
	whole := driver().Bytes()
	changed := func(change func(b []byte)) []byte {
		b := slices.Clone(whole)
		change(b)
		return b
	}
	put := func(at int, value uint32) []byte {
		return changed(func(b []byte) { binary.LittleEndian.PutUint32(b[at:], value) })
	}
	const optional, rsrc = 0x80 + 24, 0x600 // as the builder has them: 0x80, 0x400 of headers, 0x200 of code
	damagedVersion := driver()
	damagedVersion.Resource = damagedVersion.VersionResource()[:100]
	withoutSignature := driver()
	withoutSignature.Resource = driver().VersionResource()
	withoutSignature.Resource[40]++
	noVersion := driver()
	noVersion.NoResource = true
	for name, test := range map[string]struct {
		b    []byte
		want error
		text string
	}{
		"empty":                     {nil, ErrTruncated, "empty"},
		"text":                      {[]byte("[boot loader]\r\ntimeout=30"), ErrNotImage, "MZ"},
		"zeros after a crash":       {make([]byte, 4096), ErrNotImage, "MZ"},
		"a DOS program":             {changed(func(b []byte) { copy(b[0x80:], "NE") }), ErrNotImage, "DOS"},
		"half":                      {whole[:len(whole)/2], ErrTruncated, "a section ends at byte 1536, and the file at byte 1280"},
		"headers":                   {whole[:0x90], ErrTruncated, "its headers end"},
		"unknown kind":              {put(optional, 0x107), ErrDamaged, "neither kind"},
		"too many sections":         {put(0x80+6, 97), ErrDamaged, "97 sections"},
		"no resources":              {noVersion.Bytes(), ErrNoVersion, "no resources"},
		"resources elsewhere":       {put(optional+96+16, 0x7fff0000), ErrDamaged, "none of its sections"},
		"no version among them":     {put(rsrc+16, 24), ErrNoVersion, "among its resources"},
		"a version of another name": {put(rsrc+24+16, 102), ErrNoVersion, "among its resources"},
		"a circle":                  {put(rsrc+20, 1<<31), ErrNoVersion, "among its resources"},
		"a circle of languages":     {put(rsrc+2*24+20, 1<<31|48), ErrDamaged, "leads to no version"},
		"a level missing":           {put(rsrc+20, 0x48), ErrDamaged, "lacks a level"},
		"a directory outside":       {put(rsrc+20, 1<<31|0x7ffffff0), ErrDamaged, "outside the section"},
		"too many entries":          {put(rsrc+12, 0xffffffff), ErrDamaged, "131070 entries"},
		"a version outside":         {put(rsrc+72, 0x9000), ErrDamaged, "none of its sections"},
		"a version too long":        {put(rsrc+76, 0xffffffff), ErrDamaged, "none of its sections"},
		"a version that is cut":     {damagedVersion.Bytes(), ErrDamaged, "100 bytes for it"},
		"a version without a sign":  {withoutSignature.Bytes(), ErrDamaged, "does not begin with a version"},
		"too large":                 {make([]byte, MaxSize+1), ErrTooLarge, "67108865 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(test.b)
			if got != nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("read %+v, %v; want %v that tells of %q", got, err, test.want, test.text)
			}
		})
	}
}

// TestOtherShapesOfVersionResources are those that other compilers make.
func TestOtherShapesOfVersionResources(t *testing.T) {
	utf16 := func(text string) (b []byte) {
		for _, c := range text {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
		return b
	}
	fixed := make([]byte, 52)
	for i, v := range []uint32{0xfeef04bd, 0x10000, 6 << 16, 6002<<16 | 22250} {
		binary.LittleEndian.PutUint32(fixed[4*i:], v)
	}
	table := func(lang string, strings ...string) (b []byte) {
		for i := 0; i < len(strings); i += 2 {
			b = wintest.VersionBlock(b, strings[i], true, utf16(strings[i+1]))
		}
		return wintest.VersionBlock(nil, lang, true, nil, b...)
	}
	translation := wintest.VersionBlock(nil, "VarFileInfo", true, nil, wintest.VersionBlock(nil, "Translation", false, make([]byte, 4))...)
	info := func(tables ...[]byte) []byte {
		return wintest.VersionBlock(nil, "StringFileInfo", true, nil, slices.Concat(tables...)...)
	}
	for name, test := range map[string]struct {
		children []byte
		want     string
	}{
		"translations first":     {slices.Concat(translation, info(table("040904B0", "FileVersion", "1\x00"))), "1"},
		"no NUL at the end":      {info(table("040904b0", "FileVersion", "6.0")), "6.0"},
		"NULs and spaces":        {info(table("040904b0", "FileVersion", "6.0 (ldr) \x00  \x00\x00")), "6.0 (ldr)"},
		"case of names":          {info(table("040904b0", "FILEVERSION", "6.0\x00")), "6.0"},
		"the first table":        {info(table("040704b0", "FileVersion", "eins\x00\x00\x00\x00"), table("040904b0", "FileVersion", "one\x00")), "eins"},
		"the first of a name":    {info(table("040904b0", "FileVersion", "one\x00", "fileversion", "two\x00")), "one"},
		"zeros after the blocks": {append(info(table("040904b0", "FileVersion", "1\x00")), make([]byte, 64)...), "1"},
		"an empty string":        {info(table("040904b0", "FileVersion", "", "ProductName", "p\x00")), ""},
		"no tables":              {info(), ""},
		"a terminal's escapes":   {info(table("040904b0", "FileVersion", "\x1b]0;FIXED\x07\r\n\u202e1\u00a02Ø\x00")), "\ufffd]0;FIXED\ufffd\ufffd\ufffd\ufffd1 2Ø"},
		"a very long string":     {info(table("040904b0", "FileVersion", strings.Repeat("9", 20000))), strings.Repeat("9", 256)},
	} {
		t.Run(name, func(t *testing.T) {
			p := wintest.PE{Resource: wintest.VersionBlock(nil, "VS_VERSION_INFO", false, fixed, test.children...)}
			got, err := Read(p.Bytes())
			if err != nil || got.FileVersion != test.want || got.Version.String() != "6.0.6002.22250" {
				t.Errorf("read %+v, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestALoneSurrogateIsNoCharacter(t *testing.T) {
	if got := text([]byte{'a', 0, 0x00, 0xd8, 'b', 0, 0, 0}); got != "a\ufffdb" {
		t.Errorf("read %q", got)
	}
}

// TestTheLanguageIsTheOneThatWindowsFallsBackTo gives a file two versions, as a translated one may have.
func TestTheLanguageIsTheOneThatWindowsFallsBackTo(t *testing.T) {
	for _, test := range []struct {
		languages []uint32
		want      int
	}{
		{[]uint32{0x407, 0x409}, 1},
		{[]uint32{0, 0x409}, 0},
		{[]uint32{0x407, 0x40c}, 0},
	} {
		directory := make([]byte, 16)
		directory[14] = byte(len(test.languages))
		for i, language := range test.languages {
			directory = binary.LittleEndian.AppendUint32(directory, language)
			directory = binary.LittleEndian.AppendUint32(directory, uint32(i))
		}
		got, err := resources(directory).entry(0, []uint32{anyLanguage, usEnglish})
		if err != nil || int(got) != test.want {
			t.Errorf("languages %#x: took that of index %d, %v; want %d", test.languages, got, err, test.want)
		}
	}
}
