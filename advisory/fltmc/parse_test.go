package fltmc_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory/fltmc"
)

// The columns of Windows 10 and 11 have these places; names, volumes and numbers are made up.
const (
	instances10 = `
Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs  VlStatus
--------------------  -------------------------------------  ------------  ----------------------  -----   --------  --------
FileInfo                                                         40500     FileInfo                  0     0000000f
FileInfo              C:                                         40500     FileInfo                  0     0000000f
FileInfo              \Device\Mup                                40500     FileInfo                  0     0000000f
FileInfo              \Device\Volume{01234567-89ab-cdef-0123-456789abcdef}      40500     FileInfo                  0     0000000f  Detached
Keeper                C:                                        385250.5   Keeper - Top Instance     0     0000000f
Keeper                X:\SQL\DATA                               385250.5   Keeper - Top Instance     0     0000000f
pipewatch             \Device\NamedPipe                          46000     pipewatch                 0     00000000
`
	filters10 = `
Filter Name                     Num Instances    Altitude    Frame
------------------------------  -------------  ------------  -----
OldScanner                                      389998.99   <Legacy>
Keeper                                  2       385250.5       0
pipewatch                               1        46000         0
FileInfo                                4        40500         0
`
	volumes10 = `
Dos Name                        Volume Name                              FileSystem   Status
------------------------------  ---------------------------------------  ----------  --------
                                \Device\Mup                              Remote
C:                              \Device\HarddiskVolume3                  NTFS
X:\SQL\DATA                     \Device\HarddiskVolume7                  NTFS
                                \Device\NamedPipe                        NamedPipe
                                \Device\HarddiskVolume1                  FAT
C:\C\00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff  \Device\VhdHardDisk{01234567-89ab-cdef-0123-456789abcdef}  NTFS
                                \Device\Volume{01234567-89ab-cdef-0123-456789abcdef}  FUSE        Detached
`
	// Windows XP and Server 2003 print no altitudes of filters, and number their frames.
	filtersXP = `
Filter Name                     Num Instances       Frame
------------------------------  ------------------  --------
TestLegacy                                          <Legacy>
Minder                               4                 1
`
	// The order of columns before Windows 7.
	instancesVista = `
Volume Name                           Altitude        Filter Name          Instance Name       Frame
-------------------------------------  ------------  --------------------  ----------------------  -----
C:                                       189000       Minder                Minder Instance           0
\Device\HarddiskVolume2                  189000       Minder                Minder Instance           0
`
)

func parse(t testing.TB, text string) *fltmc.Listing {
	t.Helper()
	l, err := fltmc.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWindows10(t *testing.T) {
	l := parse(t, instances10+filters10+volumes10)
	keeper, info, zero := weir.MustAltitude("385250.5"), weir.MustAltitude("40500"), weir.MustAltitude("46000")
	guid := "{01234567-89ab-cdef-0123-456789abcdef}"
	want := &fltmc.Listing{
		Instances: []fltmc.Instance{
			{4, "FileInfo", "", info, "FileInfo", "0", "0000000f", false, false},
			{5, "FileInfo", "C:", info, "FileInfo", "0", "0000000f", false, false},
			{6, "FileInfo", `\Device\Mup`, info, "FileInfo", "0", "0000000f", false, false},
			{7, "FileInfo", `\Device\Volume` + guid, info, "FileInfo", "0", "0000000f", true, false},
			{8, "Keeper", "C:", keeper, "Keeper - Top Instance", "0", "0000000f", false, false},
			{9, "Keeper", `X:\SQL\DATA`, keeper, "Keeper - Top Instance", "0", "0000000f", false, false},
			{10, "pipewatch", `\Device\NamedPipe`, zero, "pipewatch", "0", "00000000", false, false},
		},
		Filters: []fltmc.Filter{
			{14, "OldScanner", -1, weir.MustAltitude("389998.99"), "", true},
			{15, "Keeper", 2, keeper, "0", false},
			{16, "pipewatch", 1, zero, "0", false},
			{17, "FileInfo", 4, info, "0", false},
		},
		Volumes: []fltmc.Volume{
			{21, "", `\Device\Mup`, "Remote", false},
			{22, "C:", `\Device\HarddiskVolume3`, "NTFS", false},
			{23, `X:\SQL\DATA`, `\Device\HarddiskVolume7`, "NTFS", false},
			{24, "", `\Device\NamedPipe`, "NamedPipe", false},
			{25, "", `\Device\HarddiskVolume1`, "FAT", false},
			{26, `C:\C\00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff`, `\Device\VhdHardDisk` + guid, "NTFS", false},
			{27, "", `\Device\Volume` + guid, "FUSE", true},
		},
	}
	if diff := cmp.Diff(want, l, cmpopts.IgnoreUnexported(fltmc.Listing{}), cmp.Comparer(func(a, b weir.Altitude) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestOlderWindows(t *testing.T) {
	l := parse(t, filtersXP+instancesVista)
	if len(l.Filters) != 2 || !l.Filters[0].Legacy || l.Filters[1].Instances != 4 || l.Filters[1].Frame != "1" {
		t.Errorf("%+v", l.Filters)
	}
	if len(l.Instances) != 2 || l.Instances[1].Volume != `\Device\HarddiskVolume2` || l.Instances[0].Filter != "Minder" ||
		l.Instances[0].Name != "Minder Instance" || l.Instances[0].Altitude != weir.MustAltitude("189000") {
		t.Errorf("%+v", l.Instances)
	}
}

func encode(text string, order binary.AppendByteOrder, mark bool) (b []byte) {
	if mark {
		text = "\ufeff" + text
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestEncodingsAndEndsOfLines(t *testing.T) {
	text := "C:\\>fltmc instances" + instances10 + "\nC:\\>fltmc\n" + filters10 + "\nC:\\>fltmc volumes\n" + volumes10 + "\nC:\\>"
	want, crlf := parse(t, text), strings.ReplaceAll(text, "\n", "\r\n")
	for name, raw := range map[string][]byte{
		"UTF-8 with mark": []byte("\ufeff" + crlf), "CRLF": []byte(crlf), "trailing spaces": []byte(strings.ReplaceAll(text, "\n", "   \n")),
		"UTF-16LE with mark": encode(crlf, binary.LittleEndian, true), "UTF-16LE": encode(crlf, binary.LittleEndian, false),
		"UTF-16BE with mark": encode(crlf, binary.BigEndian, true), "UTF-16BE": encode(crlf, binary.BigEndian, false),
		"no-break spaces": []byte(strings.ReplaceAll(text, "  ", "\u00a0 ")),
	} {
		got, err := fltmc.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got, cmp.Exporter(exportAll)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// wrap breaks lines as a console of that width does, with or without the spaces at their ends.
func wrap(text string, width int, trim bool) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		for len(line) > width {
			piece := line[:width]
			if line = line[width:]; trim {
				piece = strings.TrimRight(piece, " ")
			}
			b.WriteString(piece + "\n")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func TestLinesThatAConsoleHasWrapped(t *testing.T) {
	text := instances10 + "\nC:\\Windows\\system32>fltmc\n" + filters10 + "\nC:\\Windows\\system32>fltmc volumes\n" + volumes10 + "\nC:\\Windows\\system32>\n"
	want := parse(t, text)
	noLines := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Line" }, cmp.Ignore())
	for _, width := range []int{72, 80, 90, 100, 117, 120, 121, 124, 132} {
		for _, trim := range []bool{false, true} {
			got, err := fltmc.Parse([]byte(wrap(text, width, trim)))
			if err != nil {
				t.Errorf("%d columns, trimmed %v: %v\n%s", width, trim, err, wrap(text, width, trim))
			} else if diff := cmp.Diff(want, got, cmp.Exporter(exportAll), noLines); diff != "" {
				t.Errorf("%d columns, trimmed %v: %s", width, trim, diff)
			}
		}
	}
}

func TestListingsOfOneVolumeOrFilter(t *testing.T) {
	head := "Filter                  Altitude        Instance Name       Frame   SprtFtrs  VlStatus\n" +
		"--------------------  ------------  ----------------------  -----   --------  --------\n"
	row := "Keeper                  385250      Keeper Instance           0     00000003\n"
	if _, err := fltmc.Parse([]byte(head + row)); err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "-v VOLUME") {
		t.Errorf("without the command: %v", err)
	}
	l := parse(t, "PS C:\\> fltmc.exe instances -v c:\n\n"+head+row+"PS C:\\> fltmc instances -v \"D:\\my data\"\n"+head+row+row)
	volumes := []string{}
	for _, i := range l.Instances {
		volumes = append(volumes, i.Volume)
	}
	if !slices.Equal(volumes, []string{"c:", `D:\my data`, `D:\my data`}) {
		t.Errorf("%q", volumes)
	}
	byFilter := "Volume Name                              Altitude        Instance Name       Frame\n" +
		"-------------------------------------  ------------  ----------------------  -----\n" +
		"E:                                        385250     Keeper Instance           0\n"
	if l = parse(t, "fltmc instances -f Keeper\n"+byFilter); l.Instances[0].Filter != "Keeper" || l.Instances[0].Volume != "E:" {
		t.Errorf("%+v", l.Instances)
	}
}

func TestAfterABarePromptAndWithoutEmptyLines(t *testing.T) {
	text := ">fltmc instances" + instances10 + ">fltmc" + filters10 + "PS C:\\> fltmc volumes" + volumes10 + ">"
	if l := parse(t, text); len(l.Instances) != 7 || len(l.Filters) != 4 || len(l.Volumes) != 7 {
		t.Errorf("%+v", l)
	}
}

func TestLegacyFiltersAmongTheInstances(t *testing.T) {
	l := parse(t, instances10+"OldScanner            C:                                        389998.99                         <Legacy>\n")
	i := l.Instances[len(l.Instances)-1]
	if !i.Legacy || i.Name != "" || i.Volume != "C:" || i.Frame != "" || i.Altitude != weir.MustAltitude("389998.99") {
		t.Errorf("%+v", i)
	}
	for _, m := range l.Missed() {
		if m.Filter == "OldScanner" {
			t.Errorf("%+v", m)
		}
	}
}

func TestTheLastListingOfEverythingCounts(t *testing.T) {
	l := parse(t, filters10+"C:\\>fltmc"+strings.ReplaceAll(filters10, "Keeper                                  2", "Keeper                                  3"))
	if len(l.Filters) != 4 || l.Filters[1].Instances != 3 {
		t.Errorf("%+v", l.Filters)
	}
}

func TestWhatIsNotUnderstoodIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
	}{
		"nothing":             {"", "no listing"},
		"words":               {"nobody has\nany listing", "no listing"},
		"another language":    {strings.Replace(filters10, "Filter Name   ", "Nom du filtre ", 1), "line 2: a table of the columns"},
		"part of the columns": {strings.Replace(instances10, "VlStatus", "État    ", 1), "line 2: a table of the columns"},
		"lost spaces":         {strings.Join(strings.Fields(filters10), " "), "no listing"},
		"lost spaces in lines": {strings.NewReplacer("   ", " ", "  ", " ").Replace(strings.NewReplacer("   ", " ", "  ", " ").Replace(filters10)),
			"line 2: "},
		"one column twice":        {strings.Replace(filters10, "Altitude", "Frame   ", 1), "line 2: "},
		"no dashes":               {strings.ReplaceAll(filters10, "-", " "), "line 2: a header without"},
		"dashes alone":            {"------  -----\n", "line 1: dashes without"},
		"a number that is none":   {strings.Replace(filters10, "    4    ", "    x    ", 1), `line 7: no line of the table of line 2: "x"`},
		"an altitude":             {strings.Replace(filters10, "40500", "4o500", 1), "line 7: "},
		"a cut line":              {instances10 + "FileInfo              D:\n", "line 11: "},
		"notes beside":            {strings.Replace(filters10, "40500         0", "40500         0         by Microsoft", 1), "line 7: "},
		"a status":                {strings.Replace(volumes10, "Detached", "Verloren", 1), "line 10: "},
		"a volume without a name": {strings.Replace(volumes10, `\Device\Mup`, "           ", 1), "line 4: "},
		"lines after words":       {filters10 + "\nsome words\nFileInfo                                4        40500         0\n", "line 10: a line of the table of line 2"},
		"zeros":                   {"a\x00\x00\x00", "it is no text"},
		"half a character":        {"\xff\xfea", "odd number"},
		"too long a line":         {filters10 + strings.Repeat("x", 5000), "line 8: "},
		"too long":                {strings.Repeat("line\n", 1<<20), "are more than"},
	} {
		_, err := fltmc.Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestWhatFollowsATableIsNoPartOfIt has lines directly below the last row of a table, which some shells and editors put there.
func TestWhatFollowsATableIsNoPartOfIt(t *testing.T) {
	wide := fmt.Sprintf("%-30s  %-39s  NTFS\n", `C:\`+strings.Repeat("m", 85), `\Device\HarddiskVolume9`)
	for _, table := range []string{volumes10, strings.TrimSuffix(volumes10, "        Detached\n") + "\n", volumes10 + wide} {
		n := strings.Count(table, "\n")
		for _, words := range []string{
			"Press any key to continue . . .", "EOF", "24.11.2026", "[root@srv ~]#", "Drücken Sie eine beliebige Taste . . .", "\x1a", "\ufffd", "--- instances ---", "ver",
		} {
			for _, text := range []string{table + words + "\n", table + words, table + words + "\n" + instances10} {
				_, err := fltmc.Parse([]byte(text))
				if want := fmt.Sprintf("line %d: no line of the table of line 2", n+1); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q: %v, want %s", words, err, want)
				}
			}
			if l := parse(t, table+"\n"+words); l.Volumes[5].FileSystem != "NTFS" {
				t.Errorf("%q: %+v", words, l.Volumes)
			}
		}
	}
	for width := 60; width < 95; width++ { // of consoles, in some of which the last word ends at the margin
		last := fmt.Sprintf("%-30s  %-39s  NTFS\n", "E:", `\Device\HarddiskVolume9`)
		l, err := fltmc.Parse([]byte(wrap(volumes10+last, width, true) + "EOF\n"))
		if err == nil {
			t.Errorf("%d columns: %+v", width, l.Volumes[len(l.Volumes)-1])
		}
	}
	padded := strings.ReplaceAll(volumes10, "Remote\n", "Remote"+strings.Repeat(" ", 20)+"\n") + fmt.Sprintf("%-30s  %-39s  NTFS%s\n", "E:", `\Device\HarddiskVolume9`, strings.Repeat(" ", 20))
	if l := parse(t, wrap(padded, 80, false)); len(l.Volumes) != 8 || l.Volumes[7].FileSystem != "NTFS" {
		t.Errorf("spaces that are wrapped: %+v", l.Volumes)
	}
	cut := strings.TrimSuffix(strings.TrimSuffix(volumes10, "\n"), "SE        Detached")
	var told *weir.Error
	if _, err := fltmc.Parse([]byte(cut)); !errors.As(err, &told) || !strings.Contains(err.Error(), "line 10: the text ends in this line of the table of line 2") || !strings.Contains(told.Hint, "end its last line") {
		t.Errorf("cut in a word: %v", err)
	}
}

// TestListingsThatAreThereTwiceAndDiffer are of two moments or machines, of which the last counts.
func TestListingsThatAreThereTwiceAndDiffer(t *testing.T) {
	before := listing([]string{"scan C:", "scan D:"}, []string{`C: \Device\HarddiskVolume1 NTFS`, `D: \Device\HarddiskVolume2 NTFS`, `E: \Device\HarddiskVolume3 NTFS`})
	after := listing([]string{"scan C:", "scan D:", "scan E:"}, []string{`C: \Device\HarddiskVolume1 NTFS`, `D: \Device\HarddiskVolume2 NTFS`, `E: \Device\HarddiskVolume3 NTFS`})
	one := func(volume string, filters ...string) string {
		text := "\nC:\\>fltmc instances -v " + volume + "\n\nFilter                  Altitude        Instance Name       Frame\n" +
			"--------------------  ------------  ----------------------  -----\n"
		for _, f := range filters {
			text += fmt.Sprintf("%-20s  %-12s  %-22s  0\n", f, "180000", f+" Instance")
		}
		return text
	}
	for name, c := range map[string]struct {
		text  string
		lines []int
	}{
		"instances":                            {before + "\n" + after, []int{12}},
		"the same twice":                       {before + "\n" + before, nil},
		"filters":                              {filters10 + "\n" + strings.Replace(filters10, "    4    ", "    5    ", 1), []int{10}},
		"volumes":                              {volumes10 + "\n" + strings.Replace(volumes10, "FAT\n", "NTFS\n", 1), []int{13}},
		"of one volume, as before":             {after + one(`e:\`, "scan"), nil},
		"of one volume, after all":             {before + one("E:", "scan"), []int{14}},
		"of one volume, twice":                 {one("C:", "scan") + one("C:"), []int{10}},
		"of all, after one volume":             {one("F:", "scan") + "\n" + before, []int{8}},
		"of all, with the one of one volume":   {one("C:", "scan") + "\n" + before, nil},
		"of one volume, after that of a third": {one("C:", "scan") + one("D:", "scan"), nil},
	} {
		var lines []int
		for _, c := range parse(t, c.text).Contradictions() {
			if strings.Contains(c.Text, "in a file of its own") {
				lines = append(lines, c.Line)
			}
		}
		if !slices.Equal(lines, c.lines) {
			t.Errorf("%s: lines %d, want %d\n%s", name, lines, c.lines, c.text)
		}
	}
}

func TestTooManyToCompare(t *testing.T) {
	var b strings.Builder
	b.WriteString(instances10)
	for i := range 2000 {
		fmt.Fprintf(&b, "F%-19d  V%-36d      40500     FileInfo                  0     0000000f\n", i, i)
	}
	if _, err := fltmc.Parse([]byte(b.String())); err == nil {
		t.Error("four million pairs are compared")
	}
}

// exportAll has all fields compared, also those of other packages.
func exportAll(reflect.Type) bool { return true }
