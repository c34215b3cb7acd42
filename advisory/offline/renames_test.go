package offline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/image"
	"github.com/weirfs/weir/internal/wintest"
)

const (
	kernel = `\??\C:\Windows\system32\ntoskrnl.exe`
	disk2  = `\Device\HarddiskVolume2`
	guid   = `\??\Volume{0a}`
)

// waits has a system whose files are fixed, or but for the kernel, and renames that wait for the next start.
func waits(fixed bool, renames ...string) *wintest.Install {
	now := old2
	if fixed {
		now = good2
	}
	w := vista("6002", sp2).Has(good2, now).With("new.exe", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe"))
	w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", renames...))
	return w
}

// mounted says which volume was C:, and which had the identifier.
func mounted(w *wintest.Install, drive, volume string) *wintest.Install {
	w.System.Put("MountedDevices", wintest.HiveValue{Name: `\DosDevices\C:`, Type: 3, Data: []byte(drive)}, wintest.HiveValue{Name: guid, Type: 3, Data: []byte(volume)})
	return w
}

// TestNamesOfPendingRenames has names in every form that the system understands. What they say is used where that is sure, and
// where it is not, and the files that decide may be meant, nothing is decided.
func TestNamesOfPendingRenames(t *testing.T) {
	const unsure = "cannot be told"
	for name, test := range map[string]struct {
		w    *wintest.Install
		want advisory.Verdict
		why  string
	}{
		"names of the object manager": {waits(false, `\DosDevices\C:\new.exe`, `!\GLOBAL??\C:\Windows\system32\ntoskrnl.exe`), advisory.PendingRestart, ""},
		"through its root":            {waits(false, `\??\GLOBALROOT\??\C:\new.exe`, `!\DosDevices\Global\C:\Windows\system32\ntoskrnl.exe`), advisory.PendingRestart, ""},
		"volume by its identifier":    {mounted(waits(false, guid+`\new.exe`, `!`+guid+`\Windows\System32\NTOSKRNL.EXE`), "a", "a"), advisory.PendingRestart, ""},
		"another volume":              {mounted(waits(false, guid+`\new.exe`, `!`+guid+`\Windows\System32\ntoskrnl.exe`), "a", "b"), advisory.Inconsistent, ""},
		"a volume that is not known":  {waits(false, guid+`\new.exe`, `!`+guid+`\Windows\System32\ntoskrnl.exe`), advisory.Unknown, guid},
		"device":                      {waits(false, disk2+`\new.exe`, `!`+disk2+`\Windows\system32\ntoskrnl.exe`), advisory.Unknown, disk2 + `\new.exe`},
		"device, to be deleted":       {waits(true, disk2+`\Windows\system32\ntoskrnl.exe`, ""), advisory.Unknown, "the deletion of " + disk2},
		"source on a device":          {waits(false, disk2+`\new.exe`, "!"+kernel), advisory.Unknown, unsure},
		"no name of the system":       {waits(true, `C:\Windows\system32\ntoskrnl.exe`, ""), advisory.Unknown, unsure},
		"another device":              {waits(true, `\Device\Harddisk0\Partition1\Windows\system32\ntoskrnl.exe`, ""), advisory.Unknown, unsure},
		"short name of the file":      {waits(true, `\??\C:\Windows\system32\drivers\FLTMGR~1.SYS`, ""), advisory.Unknown, "short name"},
		"short name of a directory":   {waits(true, `\??\C:\Windows\SYSTEM~1\ntoskrnl.exe`, `\??\C:\Windows\away`), advisory.Unknown, "short name"},
		"short name with a checksum":  {waits(true, `\??\C:\Windows\SY1A2B~1\NT3C4D~1.EXE`, ""), advisory.Unknown, "short name"},
		"short name of the source":    {waits(false, `\??\C:\DOCUME~1\new.exe`, "!"+kernel), advisory.Unknown, "short name"},
		"a name that is there":        {waits(false, `\??\C:\DOCUME~1\new.exe`, "!"+kernel).With("docume~1/new.exe", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe")), advisory.PendingRestart, ""},
		"mark of a later system":      {waits(true, `*1`+kernel, ""), advisory.Unknown, "the mark *1"},
		"mark before what is renamed": {waits(false, `!\??\C:\new.exe`, "!"+kernel), advisory.Unknown, "the mark !"},
		"mark before the place":       {waits(false, `\??\C:\new.exe`, "*2"+kernel), advisory.Unknown, "the mark *2"},
		"a directory":                 {waits(true, `\??\C:\Windows\system32\drivers`, `\??\C:\Windows\system32\drivers.old`), advisory.Unknown, "a directory is renamed"},
		"no second name":              {waits(true, kernel), advisory.Unknown, "it is deleted then"},
		"what comes may be another before": {
			waits(false, disk2+`\x`, `!`+disk2+`\new.exe`, `\??\C:\new.exe`, "!"+kernel), advisory.Unknown, "does before cannot be told",
		},
		"what comes from elsewhere goes on": {waits(false, `\??\D:\x`, `\??\C:\y`, `\??\C:\y`, "!"+kernel), advisory.Unknown, "does before cannot be told"},
		"a place that has been filled": {
			waits(false, `\??\C:\new.exe`, `\??\C:\b`, `\??\C:\old.exe`, `\??\C:\b`, `\??\C:\b`, "!"+kernel).With("old.exe", wintest.Executable(wintest.X64, old2, "ntoskrnl.exe")),
			advisory.PendingRestart, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := decide(t, test.w)
			if f.Verdict != test.want || !strings.Contains(strings.Join(f.Reasons, "\n"), test.why) {
				t.Errorf("%s, because %q, want %s (%s)", f.Verdict, f.Reasons, test.want, test.why)
			}
			if f.Verdict == advisory.Unknown && !strings.Contains(strings.Join(f.Actions, "\n"), "let the system start once") {
				t.Errorf("to do: %q", f.Actions)
			}
		})
	}
}

// TestLinksInPendingRenames has names that lead through a link, as Linux shows a junction: into the volume, out of it, or nowhere.
func TestLinksInPendingRenames(t *testing.T) {
	for _, to := range []string{"../Windows/System32", "/mnt/vol/Windows/System32", "unsupported reparse tag 0xa0000003"} {
		for name, test := range map[string]struct {
			fixed bool
			pair  []string
			want  advisory.Verdict
		}{
			"to":             {true, []string{`\??\C:\old.exe`, `!\??\C:\a\s\ntoskrnl.exe`}, advisory.Unknown},
			"to, mended":     {false, []string{`\??\C:\new.exe`, `!\??\C:\A\S\ntoskrnl.exe`}, advisory.Unknown},
			"from":           {true, []string{`\??\C:\a\s\ntoskrnl.exe`, `\??\C:\gone`}, advisory.Unknown},
			"deleted":        {true, []string{`\??\C:\a\s\ntoskrnl.exe`, ""}, advisory.Unknown},
			"a directory":    {true, []string{`\??\C:\a\s\drivers`, `\??\C:\gone`}, advisory.Unknown},
			"the link":       {true, []string{`\??\C:\a\s`, `\??\C:\gone`}, advisory.Unknown},
			"what comes":     {true, []string{`\??\C:\a\s\old.exe`, "!" + kernel}, advisory.Unknown},
			"by its device":  {true, []string{disk2 + `\a\s\ntoskrnl.exe`, ""}, advisory.Unknown},
			"by another":     {true, []string{`\Device\Harddisk0\Partition1\a\s\ntoskrnl.exe`, ""}, advisory.Unknown},
			"another file":   {true, []string{`\??\C:\a\s\x.tmp`, ""}, advisory.Fixed},
			"another volume": {true, []string{`\??\D:\a\s\ntoskrnl.exe`, ""}, advisory.Fixed},
		} {
			root := written(t, waits(test.fixed, test.pair...).With("old.exe", wintest.Executable(wintest.X64, old2, "ntoskrnl.exe")).With("a/x", nil))
			if err := os.Symlink(to, filepath.Join(root, "a/s")); err != nil {
				t.Fatal(err)
			}
			f := decideAt(t, root)
			if f.Verdict != test.want || test.want == advisory.Unknown && !strings.Contains(strings.Join(f.Reasons, "\n"), `"a/s" is a link`) {
				t.Errorf("%s, link to %s: %s, because %q", name, to, f.Verdict, f.Reasons)
			}
		}
	}
}

// TestOddNamesInPendingRenames are like that of a file that decides, and nobody knows what the system makes of them.
func TestOddNamesInPendingRenames(t *testing.T) {
	for _, name := range []string{
		`\??\C:\\Windows\system32\ntoskrnl.exe`, `\SystemRoot\\system32\ntoskrnl.exe`, `\??\\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\Windows\\system32\ntoskrnl.exe`,
		`\??\C:/Windows/system32/ntoskrnl.exe`, `\??\C:\Windows\x\..\system32\ntoskrnl.exe`, `\??\C:\Windows\.\system32\ntoskrnl.exe`, `\SystemRoot\x\..\system32\ntoskrnl.exe`,
		kernel + `::$DATA`, kernel + `\`, kernel + ` `, kernel + `.`, disk2 + `\\Windows\system32\ntoskrnl.exe`, `\\?\C:\Windows\system32\ntoskrnl.exe`,
	} {
		for _, pair := range [][]string{{name, ""}, {name, `\??\C:\gone`}, {`\??\C:\new.exe`, "!" + name}} {
			if f := decide(t, waits(true, pair...)); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), "may concern it") {
				t.Errorf("%q: %s, because %q", pair, f.Verdict, f.Reasons)
			}
		}
	}
	for _, name := range []string{`\??\C:\\Windows\system32\xntoskrnl.exe`, `\??\D:\\Windows\system32\ntoskrnl.exe`, `\??\C:\Windows\Temp\*.tmp`, `\??\C:\Windows\system32\ntoskrnl.ex?`} {
		if f := decide(t, waits(true, name, "")); f.Verdict != advisory.Fixed {
			t.Errorf("%q: %s, because %q", name, f.Verdict, f.Reasons)
		}
	}
}

// TestDirectoryThatIsRenamed may be that of Windows itself.
func TestDirectoryThatIsRenamed(t *testing.T) {
	for _, name := range []string{`\??\C:\Windows`, `\??\C:\Windows\system32`} {
		if f := decide(t, waits(true, name, `\??\C:\other`)); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), "a directory is renamed") {
			t.Errorf("%s: %s, because %q", name, f.Verdict, f.Reasons)
		}
	}
}

// TestRenamesThatAreNotFollowed are told: those of another list, and that the system may protect its files.
func TestRenamesThatAreNotFollowed(t *testing.T) {
	w := waits(true)
	w.System.Put(wintest.SessionManager+`\FileRenameOperations`, wintest.Text(`\??\C:\old.exe`, "!"+kernel))
	if f := decide(t, w); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), "the key FileRenameOperations") {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
	for value, noted := range map[string]bool{"": true, "0": true, "1": false} {
		w := waits(false, `\??\C:\new.exe`, "!"+kernel)
		if value != "" {
			w.System.Put(wintest.SessionManager, wintest.Number("AllowProtectedRenames", uint32(value[0]-'0')))
		}
		w.System.Put(wintest.SessionManager + `\FileRenameOperations`)
		f := decide(t, w)
		if f.Verdict != advisory.PendingRestart || strings.Contains(strings.Join(f.Notes, "\n"), "AllowProtectedRenames is not set") != noted {
			t.Errorf("%q: %s, notes %q", value, f.Verdict, f.Notes)
		}
	}
}

// TestRenamesOfTheNextStart has another control set chosen for it.
func TestRenamesOfTheNextStart(t *testing.T) {
	w := waits(true, kernel, "")
	w.System.Put("Select", wintest.Number("Default", 1))
	if f := decide(t, w); f.Verdict != advisory.Fixed || !strings.Contains(strings.Join(f.Notes, "\n"), "with control set 1, whose pending renames are looked at, and had 2") {
		t.Errorf("%s, because %q, notes %q", f.Verdict, f.Reasons, f.Notes)
	}
	w = waits(true)
	w.System.Put("Select", wintest.Number("Default", 3))
	if f := decide(t, w); f.Verdict != advisory.Unknown {
		t.Errorf("no such control set: %s, because %q", f.Verdict, f.Reasons)
	}
	w = waits(true)
	w.System.Put("Select", wintest.Number("Default", 1))
	w.System.Put(`ControlSet001\Control\Session Manager`, wintest.Texts("PendingFileRenameOperations", kernel, ""))
	if f := decide(t, w); f.Verdict != advisory.Unknown {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
}

// TestOnlyWhatIsThereInTheEndIsRead has a file of the largest size that is renamed to and fro.
func TestOnlyWhatIsThereInTheEndIsRead(t *testing.T) {
	var all []string
	for range maxRenames / 2 {
		all = append(all, `\??\C:\big`, "!"+kernel, kernel, `!\??\C:\big`)
	}
	root := written(t, waits(true, all...).With("big", nil))
	if err := os.Truncate(filepath.Join(root, "big"), image.MaxSize); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if f := decideAt(t, root); f.Verdict != advisory.Unknown {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestRenamesOfOtherFilesDecideNothing has names that cannot be told, and that are like those of the files or end like them.
func TestRenamesOfOtherFilesDecideNothing(t *testing.T) {
	f := decide(t, waits(true, "", "", `\??\C:\DOCUME~1\x.tmp`, "", disk2+`\old\Windows\system32\ntoskrnl.exe`, "", `\Device\X\mywindows\system32\ntoskrnl.exe`, "",
		`*1\??\C:\Windows\Temp\ntoskrnl.exe`, "", `\??\C:\Windows\mysystem32\ntoskrnl.exe`, "", `\??\C:\Windows\system32\xntoskrnl.exe`, "", `\??\C:\Windows\SYSTEM~1\FLTMGR~1.OLD`, ""))
	if f.Verdict != advisory.Fixed || len(f.Evidence.Renames) != 0 {
		t.Errorf("%s, because %q; %v", f.Verdict, f.Reasons, f.Evidence.Renames)
	}
	if want := "cannot be told, and that of others, 5 in all; it is none of these files"; !strings.Contains(strings.Join(f.Notes, "\n"), want) {
		t.Errorf("%q, want %s", f.Notes, want)
	}
}

// TestRenamesThatCannotBeRead leave nothing decided that depends on them.
func TestRenamesThatCannotBeRead(t *testing.T) {
	for build, want := range map[string]advisory.Verdict{"6002": advisory.Unknown, "6000": advisory.PrerequisiteMissing} {
		w := vista(build, sp2).Has(good2, good2)
		if build == "6000" {
			w = vista(build, "").Has("6.0.6000.16386", "6.0.6000.16386")
		}
		w.System.Put(wintest.SessionManager, wintest.Number("PendingFileRenameOperations", 1))
		f := decide(t, w)
		told := strings.Join(append(f.Reasons, f.Notes...), "\n")
		if f.Verdict != want || !strings.Contains(told, `of the hive SYSTEM something could not be read: read value "PendingFileRenameOperations"`) {
			t.Errorf("%s: %s, because %q", build, f.Verdict, told)
		}
	}
	many := make([]string, 2*maxRenames+2)
	for i := range many {
		many[i] = "x"
	}
	if f := decide(t, waits(true, many...)); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), "pending renames, of which") {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
}

// TestPlaceThatIsNotKnown has a registry that does not say where the Windows directory was.
func TestPlaceThatIsNotKnown(t *testing.T) {
	w := waits(true, kernel, "")
	values := w.Software.Keys[0].Keys[0].Keys[0].Values
	for i := range values {
		if values[i].Name == "SystemRoot" {
			values[i].Name = "another"
		}
	}
	if f := decide(t, w); f.Verdict != advisory.Unknown {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
}

// TestWindowsDirectoryOfAnotherName has a registry that says another path than the directory has.
func TestWindowsDirectoryOfAnotherName(t *testing.T) {
	w := waits(true, kernel, "")
	values := w.Software.Keys[0].Keys[0].Keys[0].Values
	for i := range values {
		if values[i].Name == "SystemRoot" {
			values[i] = wintest.Text("SystemRoot", `C:\WINNT`)
		}
	}
	f := decide(t, w)
	if told := `the registry says that the Windows directory was "C:\\WINNT", and here it is "Windows"`; f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Notes, "\n"), told) {
		t.Errorf("%s, because %q, notes %q", f.Verdict, f.Reasons, f.Notes)
	}
}

// TestSourceOutsideOfTheWindowsDirectory has the Windows directory named, so that the rest of the volume is not seen.
func TestSourceOutsideOfTheWindowsDirectory(t *testing.T) {
	f := decideAt(t, filepath.Join(written(t, waits(false, `\??\C:\new.exe`, "!"+kernel)), "Windows"))
	told, do := strings.Join(f.Reasons, "\n"), strings.Join(f.Actions, "\n")
	if f.Verdict != advisory.Unknown || !strings.Contains(told, `\??\C:\new.exe, which takes its place, is outside the directory that was named`) || !strings.Contains(do, "the whole volume is mounted at") {
		t.Errorf("%s, because %q; to do: %q", f.Verdict, told, do)
	}
}

// TestWindowsDirectoriesThatDifferInCase are told, and neither is chosen.
func TestWindowsDirectoriesThatDifferInCase(t *testing.T) {
	root := written(t, vista("6002", sp2).Has(good2, good2))
	if err := os.Mkdir(filepath.Join(root, "WINDOWS"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Gather(root, kb(t)); err == nil || !strings.Contains(err.Error(), "which of them is meant cannot be told") {
		t.Errorf("%v", err)
	}
	if f := decideAt(t, filepath.Join(root, "Windows")); f.Verdict != advisory.Fixed {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
}

// FuzzPendingRenames carries one operation out after another that makes what it takes doubtful.
func FuzzPendingRenames(f *testing.F) {
	root := f.TempDir()
	if err := waits(true).Write(root); err != nil {
		f.Fatal(err)
	}
	l, err := advisory.Builtin()
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{kernel, disk2 + `\new.exe`, guid + `\..\..\x`, `\??\C:\SYSTEM~1\..\A~1`, `*1!\DosDevices\GLOBALROOT\`, `\SystemRoot\..`, `\`, "~1"} {
		f.Add(name, "!"+kernel)
		f.Add(kernel, name)
		f.Add(name, "")
	}
	f.Fuzz(func(t *testing.T, from, to string) {
		err := within(root, l.All()[0], func(g *gathering) {
			g.place(`C:\Windows`)
			q := newQueue(g)
			q.take(disk2+`\`+from, to)
			q.take(from, to)
			for _, r := range g.e.Renames {
				if path := r.File.Path; strings.HasPrefix(path, "..") || strings.HasPrefix(path, "/") {
					t.Errorf("%q to %q: %s was looked at", from, to, path)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
