package fltmc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/advisory/fltmc"
)

// listing prints what fltmc would: instances as "filter volume", volumes as "letter device file-system status", with - for
// what is not there.
func listing(instances, volumes []string) string {
	var b strings.Builder
	none := func(s string) string { return strings.ReplaceAll(s, "-", "") }
	b.WriteString("Filter                Volume Name                              Altitude        Instance Name       Frame\n" +
		"--------------------  -------------------------------------  ------------  ----------------------  -----\n")
	for _, line := range instances {
		f := strings.Fields(line)
		fmt.Fprintf(&b, "%-20s  %-37s    %-10s  %-22s    0\n", f[0], none(f[1]), "180000", f[0]+" Instance")
	}
	if volumes != nil {
		b.WriteString("\nDos Name                        Volume Name                              FileSystem   Status\n" +
			"------------------------------  ---------------------------------------  ----------  --------\n")
	}
	for _, line := range volumes {
		f := append(strings.Fields(line), "-")
		fmt.Fprintf(&b, "%-30s  %-39s  %-10s  %s\n", none(f[0]), f[1], none(f[2]), none(f[3]))
	}
	return b.String()
}

func missed(t *testing.T, text string) (all []string) {
	t.Helper()
	for _, m := range parse(t, text).Missed() {
		all = append(all, fmt.Sprintf("%s %s %d/%d %s", m.Filter, m.Volume.Name(), m.On, m.Of, m.Reason))
	}
	return all
}

func TestAnOrdinaryVolumeThatWasMissedStandsOut(t *testing.T) {
	volumes := []string{
		`C: \Device\HarddiskVolume2 NTFS`, `D: \Device\HarddiskVolume3 NTFS`, `E: \Device\HarddiskVolume4 NTFS`,
		`F: \Device\HarddiskVolume5 FAT`, `G: \Device\CdRom0 CDFS`, `- \Device\Mup Remote`, `- \Device\NamedPipe NamedPipe`,
		`- \Device\Mailslot Mailslot`, `I: \Device\HarddiskVolume8 -`, `- \Device\HarddiskVolumeShadowCopy3 NTFS`, `H: \Device\HarddiskVolume9 NTFS Detached`,
	}
	instances := []string{
		"backup C:", "scan C:", `scan \Device\HarddiskVolume4\`, "scan f:", `scan \Device\Mup`, "luafv C:",
		"far C:", "far D:", "far E:", "far F:", "far G:", `far \Device\HarddiskVolumeShadowCopy3`,
	}
	want := []string{
		"scan D: 2/3 ", // first, since scan misses one volume alone
		"backup D: 1/3 ", "backup E: 1/3 ",
		"backup F: 0/1 " + string(fltmc.OtherFileSystem), "backup G: 0/1 " + string(fltmc.OtherFileSystem),
		`backup \Device\Mup 0/1 ` + string(fltmc.Redirector), `backup \Device\NamedPipe 0/1 ` + string(fltmc.Pipes),
		`backup \Device\Mailslot 0/1 ` + string(fltmc.Pipes), "backup I: 0/1 " + string(fltmc.UnknownFileSystem), `backup \Device\HarddiskVolumeShadowCopy3 1/3 ` + string(fltmc.Snapshot),
		"backup H: 1/3 " + string(fltmc.Gone),
	}
	got := missed(t, listing(instances, volumes))
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("%q\nwant %q", got[:len(want)], want)
	}
	for _, m := range []string{"luafv D: 1/3 " + string(fltmc.Selective), "scan G: 0/1 " + string(fltmc.OtherFileSystem)} {
		if !slices.Contains(got, m) {
			t.Errorf("%q is not among %q", m, got)
		}
	}
	if slices.ContainsFunc(got, func(m string) bool { return strings.HasPrefix(m, "far ") && strings.HasSuffix(m, " ") }) {
		t.Errorf("a filter that misses no ordinary volume: %q", got)
	}
}

func TestWithoutTheVolumesTheFileSystemIsNotKnown(t *testing.T) {
	got := missed(t, listing([]string{"scan C:", "scan D:", `scan \Device\Mup`, "backup C:", "scan -"}, nil))
	want := []string{
		"backup  0/1 " + string(fltmc.Nameless), "backup D: 0/0 " + string(fltmc.UnknownFileSystem),
		`backup \Device\Mup 0/0 ` + string(fltmc.Redirector),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAnInstanceOnADetachedVolumeIsNotOnTheOneThatCameInItsPlace has a volume that was dismounted and has come again under the
// same letter, in either order of the rows.
func TestAnInstanceOnADetachedVolumeIsNotOnTheOneThatCameInItsPlace(t *testing.T) {
	rows := strings.ReplaceAll(listing([]string{"scan C:", "scan D:"}, nil), "  Frame\n", "  Frame   VlStatus\n")
	rows = strings.Replace(rows, "  -----\n", "  -----   --------\n", 1)
	detached := fmt.Sprintf("%-20s  %-37s    %-10s  %-22s    0     Detached\n", "scan", "E:", "180000", "scan Instance")
	live := fmt.Sprintf("%-20s  %-37s    %-10s  %-22s    0\n", "other", "E:", "180000", "other Instance")
	volumes := func(rows ...string) string { text := listing(nil, rows); return text[strings.Index(text, "\nDos"):] }
	c, d, gone, came := `C: \Device\HarddiskVolume1 NTFS`, `D: \Device\HarddiskVolume2 NTFS`, `E: \Device\HarddiskVolume3 NTFS Detached`, `E: \Device\HarddiskVolume5 NTFS`
	for name, text := range map[string]string{
		"detached first": rows + detached + volumes(c, d, gone, came), "detached last": rows + detached + volumes(c, d, came, gone),
		"detached not listed": rows + detached + volumes(c, d, came), "another has come": rows + detached + live + volumes(c, d, came, gone),
	} {
		if got := missed(t, text); len(got) == 0 || got[0] != "scan E: 2/3 " {
			t.Errorf("%s: %q", name, got)
		}
	}
	if c := parse(t, rows+detached+volumes(c, d, came)).Contradictions(); len(c) != 1 || c[0].Text != "volume E:, which is detached, has an instance, and is not in the listing of volumes" {
		t.Errorf("%v", c)
	}
	if got := missed(t, rows+detached+live); !slices.Contains(got, "scan E: 0/0 "+string(fltmc.UnknownFileSystem)) {
		t.Errorf("without the volumes: %q", got)
	}
	if got := missed(t, rows+detached+volumes(c, d, gone)); len(got) != 0 {
		t.Errorf("detached alone: %q", got)
	}
}

func TestVolumesWithoutNames(t *testing.T) {
	volumes := []string{`C: \Device\HarddiskVolume3 NTFS`, `- \Device\HarddiskVolume1 NTFS`, `- \Device\HarddiskVolume2 FAT`}
	if got := missed(t, listing([]string{"scan C:", "scan -", "scan -"}, volumes)); len(got) != 0 {
		t.Errorf("on all of them: %q", got)
	}
	if got := missed(t, listing([]string{"scan C:", "scan -"}, volumes)); !slices.Equal(got, []string{"scan  1/2 " + string(fltmc.Nameless)}) {
		t.Errorf("on one of them: %q", got)
	}
	want := []string{`scan \Device\HarddiskVolume1 1/2 `, `scan \Device\HarddiskVolume2 0/1 ` + string(fltmc.OtherFileSystem)}
	if got := missed(t, listing([]string{"scan C:"}, volumes)); !slices.Equal(got, want) {
		t.Errorf("on none of them: %q", got)
	}
}

func TestOnlyWhatWasListedIsMissed(t *testing.T) {
	volumes := []string{`C: \Device\HarddiskVolume1 NTFS`, `D: \Device\HarddiskVolume2 NTFS`, `E: \Device\HarddiskVolume3 NTFS`}
	text := listing(nil, volumes)[strings.Index(listing(nil, volumes), "\nDos"):]
	one := func(volume string, filters ...string) {
		text += "\nC:\\>fltmc instances -v " + volume + "\n\nFilter                  Altitude        Instance Name       Frame\n" +
			"--------------------  ------------  ----------------------  -----\n"
		for _, f := range filters {
			text += fmt.Sprintf("%-20s  %-12s  %-22s  0\n", f, "180000", f)
		}
	}
	one("C:", "scan", "backup")
	one(`D:\`, "scan")
	if got := missed(t, text); !slices.Equal(got, []string{"backup D: 1/2 "}) {
		t.Errorf("%q", got)
	}
	one("e:")
	if got := missed(t, text); !slices.Equal(got, []string{"scan E: 2/3 ", "backup D: 1/3 ", "backup E: 1/3 "}) {
		t.Errorf("%q", got)
	}
	one("D:", "scan", "backup") // listed again
	if got := missed(t, text); !slices.Equal(got, []string{"scan E: 2/3 ", "backup E: 2/3 "}) {
		t.Errorf("%q", got)
	}
}

func TestContradictions(t *testing.T) {
	text := listing([]string{"scan C:", "scan D:", "scan Z:", "other C:", "scan -", "scan -"},
		[]string{`C: \Device\HarddiskVolume1 NTFS`, `D: \Device\HarddiskVolume2 NTFS`, `- \Device\HarddiskVolume3 NTFS`}) +
		"\nFilter Name                     Num Instances    Altitude    Frame\n" +
		"------------------------------  -------------  ------------  -----\n" +
		"scan                                    6       180000         0\n" +
		"idle                                    0        46000         0\n" +
		"gone                                    2        46000         0\n" +
		"old                                              46000      <Legacy>\n"
	var got []string
	for _, c := range parse(t, text).Contradictions() {
		got = append(got, fmt.Sprint(c.Line, " ", c.Text))
	}
	want := []string{
		"18 filter scan has 6 instances here, and 5 in the listing of instances",
		"20 filter gone has 2 instances here, and 0 in the listing of instances",
		"5 volume Z: has an instance, and is not in the listing of volumes",
		"6 filter other has an instance, and is not in the listing of filters",
		"0 filter scan has instances on 2 volumes without a name, of which the listing of volumes has 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if c := parse(t, instances10+filters10+volumes10).Contradictions(); len(c) != 0 {
		t.Errorf("%v", c)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(instances10 + "\nC:\\>fltmc\n" + filters10 + "\nPS C:\\> fltmc volumes\n" + volumes10))
	f.Add([]byte(filtersXP + instancesVista))
	f.Add([]byte(wrap(instances10+filters10+volumes10, 80, true)))
	f.Add([]byte("C:\\>fltmc instances -v C:\n" + instances10 + "C:\\>fltmc instances -f scan\n" + instances10))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := fltmc.Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error for a terminal has control characters: %q", err)
			}
			return
		}
		for _, m := range l.Missed() {
			if m.On > m.Of || m.Filter == "" || m.Volume.Name() == "" && m.Reason != fltmc.Nameless {
				t.Errorf("%+v", m)
			}
		}
		l.Contradictions()
	})
}

func TestEveryCutAndFlippedBitsInEveryByte(t *testing.T) {
	var text string
	for _, listing := range []string{instances10, filters10, volumes10} {
		text += strings.Join(strings.SplitAfter(listing, "\n")[:5], "")
	}
	for i := range text {
		parseAll([]byte(text[:i]))
		for _, flip := range []byte{1, 0x0a, 0x20, 0x80} {
			bad := []byte(text)
			bad[i] ^= flip
			parseAll(bad)
		}
	}
}

func TestMuchOtherTextIsPassedOverInTime(t *testing.T) {
	start := time.Now()
	for _, table := range []string{volumes10, wrap(instances10, 80, true)} {
		parse(t, table+"\n"+strings.Repeat("a\n", 1<<17))
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("%v for half a MiB", took)
	}
}

func parseAll(text []byte) {
	if l, err := fltmc.Parse(text); err == nil {
		l.Missed()
		l.Contradictions()
	}
}
