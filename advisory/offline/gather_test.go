package offline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/internal/wintest"
)

const (
	sp1, sp2 = "Service Pack 1", "Service Pack 2"
	old2     = "6.0.6002.18005"
	good2    = "6.0.6002.22250"
	package6 = "Package_for_KB975759~31bf3856ad364e35~amd64~~6.0.1.0"
)

func vista(build, pack string) *wintest.Install { return wintest.Windows("6.0", build, pack, "WinNT") }

func server2003() *wintest.Install { return wintest.Windows("5.2", "3790", sp2, "ServerNT") }

func kb(t *testing.T) *advisory.Advisory {
	t.Helper()
	l, err := advisory.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := l.Find("KB975759")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// written writes a system into a directory of its own.
func written(t *testing.T, w *wintest.Install) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := w.Write(root); err != nil {
		t.Fatal(err)
	}
	return root
}

// decide decides on what is there, as far as it is.
func decide(t *testing.T, w *wintest.Install) advisory.Finding {
	t.Helper()
	return decideAt(t, written(t, w))
}

func decideAt(t *testing.T, root string) advisory.Finding {
	t.Helper()
	a := kb(t)
	e, err := Gather(root, a)
	if err != nil {
		t.Fatal(err)
	}
	return a.Decide(e)
}

// TestInstallations decides on installations of real executables and hives: each of the article's systems, and each way that
// files and records can be.
func TestInstallations(t *testing.T) {
	for name, test := range map[string]struct {
		w    func() *wintest.Install
		want advisory.Verdict
		why  string
	}{
		"2003 mended": {func() *wintest.Install { return server2003().Has("5.2.3790.4601 qfe", "5.2.3790.4601 qfe") }, advisory.Fixed, "no record"},
		"2003 mended, recorded": {func() *wintest.Install {
			w := server2003().Has("5.2.3790.4601 qfe", "5.2.3790.4601 qfe")
			w.Minor = 3
			w.Software.Put(`Microsoft\Updates\Windows Server 2003\SP3\KB975759`, wintest.Text("Description", "Hotfix"))
			return w
		}, advisory.Fixed, "the registry says that KB975759 is installed"},
		"2003 kernel of the GDR branch": {func() *wintest.Install { return server2003().Has("5.2.3790.4601 qfe", "5.2.3790.4637 gdr") }, advisory.Inconsistent, ""},
		"2003 GDR":                      {func() *wintest.Install { return server2003().Has("5.2.3790.4700 gdr", "5.2.3790.4700 gdr") }, advisory.Affected, ""},
		"2003 SP1": {func() *wintest.Install {
			return wintest.Windows("5.2", "3790", sp1, "ServerNT").Has("5.2.3790.1830 rtm", "5.2.3790.1830 rtm")
		}, advisory.PrerequisiteMissing, sp2},
		"XP x64": {func() *wintest.Install {
			return wintest.Windows("5.2", "3790", sp2, "WinNT").Has("5.2.3790.4601 qfe", "5.2.3790.4601 qfe")
		}, advisory.NotApplicable, "XP"},
		"domain controller": {func() *wintest.Install {
			return wintest.Windows("5.2", "3790", sp2, "LanmanNT").Has("5.2.3790.4601 qfe", "5.2.3790.4601 qfe")
		}, advisory.Fixed, ""},
		"Vista as released": {func() *wintest.Install { return vista("6000", "").Has("6.0.6000.20999", "6.0.6000.20999") }, advisory.PrerequisiteMissing, "Service Pack 1 or 2"},
		"SP1 as released":   {func() *wintest.Install { return vista("6001", sp1).Has("6.0.6001.18000", "6.0.6001.18000") }, advisory.Affected, ""},
		"SP1 just before":   {func() *wintest.Install { return vista("6001", sp1).Has("6.0.6001.22546", "6.0.6001.22546") }, advisory.Affected, ""},
		"SP1 mended":        {func() *wintest.Install { return vista("6001", sp1).Has("6.0.6001.22547", "6.0.6001.22547") }, advisory.Fixed, ""},
		"SP2 as released":   {func() *wintest.Install { return vista("6002", sp2).Has(old2, old2) }, advisory.Affected, ""},
		"SP2 late GDR":      {func() *wintest.Install { return vista("6002", sp2).Has("6.0.6002.19747", "6.0.6002.19747") }, advisory.Affected, ""},
		"SP2 just before":   {func() *wintest.Install { return vista("6002", sp2).Has("6.0.6002.22249", "6.0.6002.22249") }, advisory.Affected, ""},
		"SP2 mended":        {func() *wintest.Install { return vista("6002", sp2).Has(good2, good2) }, advisory.Fixed, ""},
		"SP2 later":         {func() *wintest.Install { return vista("6002", sp2).Has("6.0.6002.24566", "6.0.6002.24566") }, advisory.Fixed, ""},
		"2008 of 2019": {func() *wintest.Install {
			return wintest.Windows("6.0", "6003", sp2, "ServerNT").Has("6.0.6003.20489", "6.0.6003.20489")
		}, advisory.Fixed, ""},
		"7": {func() *wintest.Install {
			return wintest.Windows("6.1", "7600", "", "WinNT").Has("6.1.7600.16385", "6.1.7600.16385")
		}, advisory.NotApplicable, ""},
		"kernel waits for a restart": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("Windows/System32/SET1A.tmp", wintest.Executable(wintest.X64, good2, "ntkrnlmp.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\Windows\Temp\gone`, "", `\??\C:\Windows\system32\SET1A.tmp`, `!\??\C:\WINDOWS\system32\ntoskrnl.exe`))
			return w
		}, advisory.PendingRestart, ""},
		"a kernel that is not mended waits": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("new.tmp", wintest.Executable(wintest.X64, "6.0.6002.19747", "ntkrnlmp.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\new.tmp`, `!\SystemRoot\system32\ntoskrnl.exe`))
			return w
		}, advisory.Inconsistent, ""},
		"a file of another drive waits": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2)
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\new.tmp`, `!\??\D:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.Inconsistent, ""},
		"what was to come is gone": {func() *wintest.Install {
			w := vista("6002", sp2).Has(old2, old2)
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\gone1`, `!\??\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\gone2`, `!\??\C:\Windows\system32\drivers\fltmgr.sys`))
			return w
		}, advisory.Affected, ""},
		"what was to come is deleted before": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("new.exe", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\new.exe`, "", `\??\C:\new.exe`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.Inconsistent, ""},
		"the last one counts": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("new.exe", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe")).With("old.exe", wintest.Executable(wintest.X64, old2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\new.exe`, `!\??\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\old.exe`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.Inconsistent, ""},
		"nothing is replaced without a mark": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("new.exe", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\new.exe`, `\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.Inconsistent, ""},
		"an older kernel comes": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, good2).With("old.exe", wintest.Executable(wintest.X64, old2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\old.exe`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.PendingRestart, "by ones that are not"},
		"a file of another drive comes": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2)
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\D:\new.exe`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.Unknown, "is not on this volume"},
		"a replacement is replaced before": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, good2).With("Windows/a", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe")).With("Windows/b", wintest.Executable(wintest.X64, old2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\Windows\b`, `!\??\C:\Windows\a`, `\??\C:\Windows\a`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.PendingRestart, "by ones that are not"},
		"a replacement is renamed before": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, old2).With("Windows/a", wintest.Executable(wintest.X64, good2, "ntoskrnl.exe"))
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\Windows\a`, `\??\C:\Windows\b`, `\??\C:\Windows\b`, `!\??\C:\Windows\system32\ntoskrnl.exe`))
			return w
		}, advisory.PendingRestart, "by ones that are,"},
		"the kernel is moved away": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, good2)
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\Windows\system32\ntoskrnl.old`))
			return w
		}, advisory.Unknown, "it is moved away then"},
		"the kernel is deleted": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, good2)
			w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations", `\??\C:\Windows\system32\ntoskrnl.exe`, ""))
			return w
		}, advisory.Unknown, "it is deleted then"},
		"package of another processor": {func() *wintest.Install {
			w := vista("6002", sp2).Has(old2, old2)
			w.Software.Put(wintest.Packages+strings.Replace(package6, "amd64", "x86", 1), wintest.Number("CurrentState", 0x70))
			w.Software.Put(wintest.Packages+strings.Replace(package6, "~6.0.", "~6.1.", 1), wintest.Number("CurrentState", 0x70))
			return w
		}, advisory.Affected, ""},
		"package is recorded": {func() *wintest.Install {
			w := vista("6002", sp2).Has(good2, good2)
			w.Software.Put(wintest.Packages+package6, wintest.Number("CurrentState", 0x70))
			return w
		}, advisory.Fixed, "the registry says"},
		"package without files": {func() *wintest.Install {
			w := vista("6002", sp2).Has(old2, old2)
			w.Software.Put(wintest.Packages+strings.ToUpper(package6), wintest.Number("CurrentState", 0x70))
			return w
		}, advisory.Damaged, ""},
		"package waits": {func() *wintest.Install {
			w := vista("6002", sp2).Has(old2, old2)
			w.Software.Put(wintest.Packages+package6, wintest.Number("CurrentState", 0x60))
			return w
		}, advisory.PendingRestart, ""},
		"package is staged": {func() *wintest.Install {
			w := vista("6002", sp2).Has(old2, old2)
			w.Software.Put(wintest.Packages+package6, wintest.Number("CurrentState", 0x40))
			w.Software.Put(wintest.Packages+"Package_for_KB1~31bf3856ad364e35~amd64~~6.0.1.0", wintest.Number("CurrentState", 0x70))
			return w
		}, advisory.Affected, ""},
		"truncated kernel": {func() *wintest.Install {
			return vista("6002", sp2).Has(good2, good2).With(wintest.Ntoskrnl, wintest.Executable(wintest.X64, good2, "ntoskrnl.exe")[:700])
		}, advisory.Unknown, "system32/ntoskrnl.exe"},
		"no kernel": {func() *wintest.Install {
			return vista("6002", sp2).With(wintest.Fltmgr, wintest.Executable(wintest.X64, good2, "fltmgr.sys"))
		}, advisory.Unknown, "system32/ntoskrnl.exe: it is not there"},
		"no filter manager": {func() *wintest.Install {
			return vista("6002", sp2).With(wintest.Ntoskrnl, wintest.Executable(wintest.X64, good2, "ntoskrnl.exe"))
		}, advisory.Unknown, "it tells the processor"},
		"IA-64": {func() *wintest.Install {
			return vista("6002", sp2).With(wintest.Fltmgr, wintest.Executable(wintest.IA64, good2, "fltmgr.sys")).With(wintest.Ntoskrnl, wintest.Executable(wintest.IA64, good2, "ntoskrnl.exe"))
		}, advisory.Unknown, "ends before the table"},
		"x86 has two kernels": {func() *wintest.Install {
			w := vista("6002", sp2).With(wintest.Fltmgr, wintest.Executable(wintest.X86, good2, "fltmgr.sys")).With(wintest.Ntoskrnl, wintest.Executable(wintest.X86, good2, "ntoskrnl.exe"))
			return w.With(wintest.Ntkrnlpa, wintest.Executable(wintest.X86, old2, "ntkrpamp.exe"))
		}, advisory.Inconsistent, "2 of the 3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := decide(t, test.w())
			if f.Verdict != test.want || !strings.Contains(strings.Join(f.Reasons, "\n"), test.why) {
				t.Errorf("%s, because %q, want %s (%s)\n%+v", f.Verdict, f.Reasons, test.want, test.why, f.Evidence)
			}
		})
	}
}

// TestDamagedRegistryIsToldOf has either hive be missing, cut short, or without what decides.
func TestDamagedRegistryIsToldOf(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(root string) error
		want string
	}{
		"no SYSTEM": {func(root string) error { return os.Remove(filepath.Join(root, "Windows/System32/config/SYSTEM")) }, "the hive SYSTEM could not be read: it is not there"},
		"cut SOFTWARE": {func(root string) error {
			return os.Truncate(filepath.Join(root, "Windows/System32/config/SOFTWARE"), 5000)
		}, "the hive SOFTWARE could not be read: "},
		"another in it": {func(root string) error {
			return os.WriteFile(filepath.Join(root, "Windows/System32/config/SOFTWARE"), make([]byte, 1<<16), 0o644)
		}, "the hive SOFTWARE could not be read: "},
		"no ProductType": {func(root string) error {
			return rewrite(root, "SYSTEM", func(k *wintest.HiveKey) { k.Put("Select", wintest.Number("Current", 1)) })
		}, "ProductOptions"},
	} {
		t.Run(name, func(t *testing.T) {
			root := written(t, vista("6002", sp2).Has(good2, good2))
			if err := test.do(root); err != nil {
				t.Fatal(err)
			}
			if f := decideAt(t, root); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), test.want) {
				t.Errorf("%s, because %q, want %s", f.Verdict, f.Reasons, test.want)
			}
		})
	}
}

// TestOneValueThatCannotBeReadIsNamed has values of a wrong type, without which it can be decided.
func TestOneValueThatCannotBeReadIsNamed(t *testing.T) {
	w := vista("6002", sp2).Has(good2, good2)
	w.Software.Put(wintest.Packages+package6, wintest.Text("CurrentState", "installed"))
	values := w.Software.Keys[0].Keys[0].Keys[0].Values
	for i, v := range values {
		if v.Name == "ProductName" {
			values[i] = wintest.Number(v.Name, 1)
		}
	}
	f := decide(t, w)
	if f.Verdict != advisory.Fixed || !strings.Contains(f.Reasons[0], "in a state that could not be read") {
		t.Errorf("%s, because %q", f.Verdict, f.Reasons)
	}
	told := strings.Join(f.Notes, "\n")
	for _, want := range []string{`of the hive SOFTWARE something could not be read: read value "ProductName"`, `read value "CurrentState"`} {
		if !strings.Contains(told, want) || strings.Contains(told, "the hive SOFTWARE could not be read") {
			t.Errorf("%q, want %s", told, want)
		}
	}
}

// rewrite writes a hive with nothing but what is put into it.
func rewrite(root, name string, put func(*wintest.HiveKey)) error {
	var k wintest.HiveKey
	put(&k)
	return os.WriteFile(filepath.Join(root, "Windows/System32/config", name), wintest.Hive{Root: k}.Bytes(), 0o644)
}

// TestDirtyHiveIsRemarked has a hive whose log was not applied.
func TestDirtyHiveIsRemarked(t *testing.T) {
	w := vista("6002", sp2).Has(good2, good2)
	root := written(t, w)
	if err := os.WriteFile(filepath.Join(root, wintest.Config+"SOFTWARE"), wintest.Hive{Root: w.Software, Dirty: true}.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := decideAt(t, root); f.Verdict != advisory.Fixed || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "SOFTWARE was not closed") {
		t.Errorf("%s, notes %q", f.Verdict, f.Notes)
	}
}

// TestNamesHaveNoCase finds a system whose names are written in other ways, from its volume and from its Windows directory.
func TestNamesHaveNoCase(t *testing.T) {
	volume := written(t, vista("6002", sp2).Has(good2, good2))
	for _, step := range [][2]string{{"Windows/System32/drivers/fltmgr.sys", "Windows/System32/drivers/FLTMGR.Sys"}, {"Windows/System32/config/SYSTEM", "Windows/System32/config/system"}, {"Windows/System32", "Windows/SYSTEM32"}, {"Windows", "WINNT"}} {
		if err := os.Rename(filepath.Join(volume, step[0]), filepath.Join(volume, step[1])); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{volume, filepath.Join(volume, "WINNT")} {
		f := decideAt(t, root)
		if at := f.Evidence.Files[0].Path; f.Verdict != advisory.Fixed || !strings.HasSuffix(at, "SYSTEM32/drivers/FLTMGR.Sys") {
			t.Errorf("%s, because %q; %s", f.Verdict, f.Reasons, at)
		}
	}
	if err := os.WriteFile(filepath.Join(volume, "WINNT/SYSTEM32/drivers/fltmgr.sys"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := decideAt(t, volume)
	if problem := f.Evidence.Files[0].Problem; f.Verdict != advisory.Unknown || !strings.Contains(problem, "which of them is meant cannot be told") {
		t.Errorf("%s, %q", f.Verdict, problem)
	}
	if len(f.Actions) != 1 || !strings.HasPrefix(f.Actions[0], "rename the one of the two that is not meant") {
		t.Errorf("to do: %q", f.Actions)
	}
}

// TestFilesThatTellNothingSayWhatToDo has a kernel that is not there, one that is cut short, and a directory in its place.
func TestFilesThatTellNothingSayWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		put  func(at string) error
		want string
	}{
		"absent":    {func(string) error { return nil }, "put system32/ntoskrnl.exe back in its place"},
		"cut short": {func(at string) error { return os.WriteFile(at, []byte("MZ"), 0o644) }, "put a whole system32/ntoskrnl.exe in its place"},
		"directory": {func(at string) error { return os.Mkdir(at, 0o755) }, "make readable what was missing"},
	} {
		root := written(t, vista("6002", sp2).With(wintest.Fltmgr, wintest.Executable(wintest.X64, good2, "fltmgr.sys")))
		if err := test.put(filepath.Join(root, wintest.Ntoskrnl)); err != nil {
			t.Fatal(err)
		}
		if f := decideAt(t, root); f.Verdict != advisory.Unknown || len(f.Actions) != 1 || !strings.HasPrefix(f.Actions[0], test.want) {
			t.Errorf("%s: %s, to do: %q", name, f.Verdict, f.Actions)
		}
	}
}

// TestNothingOutsideIsRead fills a volume with links out of it, pipes and devices.
func TestNothingOutsideIsRead(t *testing.T) {
	outside := written(t, vista("6002", sp2).Has(good2, good2))
	for name, test := range map[string]struct {
		put  func(at, from string) error
		want string
	}{
		"absolute link": {func(at, from string) error { return os.Symlink(from, at) }, "escapes"},
		"relative link": {func(at, from string) error {
			rel, err := filepath.Rel(filepath.Dir(at), from)
			if err != nil {
				return err
			}
			return os.Symlink(rel, at)
		}, "escapes"},
		"pipe":         {func(at, _ string) error { return syscall.Mkfifo(at, 0o644) }, "it is no regular file"},
		"directory":    {func(at, _ string) error { return os.Mkdir(at, 0o755) }, "it is no regular file"},
		"loop":         {func(at, _ string) error { return os.Symlink(filepath.Base(at), at) }, "too many"},
		"sparse giant": {func(at, _ string) error { return giant(at) }, "no file of a system is as large"},
	} {
		t.Run(name, func(t *testing.T) {
			root := written(t, vista("6002", sp2).Has(good2, good2))
			for _, path := range []string{wintest.Fltmgr, wintest.Ntoskrnl, wintest.Config + "SYSTEM"} {
				if name == "sparse giant" && strings.HasSuffix(path, "SYSTEM") {
					continue
				}
				at := filepath.Join(root, path)
				if err := os.Remove(at); err != nil {
					t.Fatal(err)
				}
				if err := test.put(at, filepath.Join(outside, path)); err != nil {
					t.Fatal(err)
				}
			}
			f := decideAt(t, root) // Should it wait for something, the test does not end.
			e := f.Evidence
			told := fmt.Sprint(e.Files[0].Problem, e.Files[1].Problem, e.Missing)
			if f.Verdict != advisory.Unknown || !strings.Contains(told, test.want) || e.Files[0].Problem == "" {
				t.Errorf("%s: %s", f.Verdict, told)
			}
		})
	}
}

func giant(at string) error {
	if err := os.WriteFile(at, []byte("MZ"), 0o644); err != nil {
		return err
	}
	return os.Truncate(at, 1<<40)
}

// TestWhatIsNoWindows is refused, and says what was looked for.
func TestWhatIsNoWindows(t *testing.T) {
	a := kb(t)
	twins := written(t, vista("6002", sp2).Has(good2, good2))
	if err := os.Mkdir(filepath.Join(twins, "Windows/system32"), 0o755); err != nil {
		t.Fatal(err)
	}
	empty, two, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "file")
	for _, name := range []string{"Windows/System32/config", "WINNT/System32/config"} {
		if err := os.MkdirAll(filepath.Join(two, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{
		twins: "which of them is meant cannot be told", empty: "there is no directory System32/config in it", two: "there are several: ", file: "not a directory", filepath.Join(empty, "x"): "it is not there",
	} {
		if _, err := Gather(root, a); weir.KindOf(err) != weir.KindRefused || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(err), root) {
			t.Errorf("%s: %v, want %s", root, err, want)
		}
	}
}

// TestWhatIsALinkOrThereTwiceSaysWhatToDo has each part of the way to the files as a link out of the volume, and twice.
func TestWhatIsALinkOrThereTwiceSaysWhatToDo(t *testing.T) {
	const config = "Windows/System32/config"
	outside := written(t, vista("6002", sp2).Has(good2, good2))
	link := func(root, at string) error {
		if err := os.RemoveAll(filepath.Join(root, at)); err != nil {
			return err
		}
		return os.Symlink(filepath.Join(outside, at), filepath.Join(root, at))
	}
	twin := func(root, at string) error {
		other := strings.ToLower(filepath.Base(at))
		if other == filepath.Base(at) {
			other = strings.ToUpper(other)
		}
		return os.Symlink("nowhere", filepath.Join(root, filepath.Dir(at), other))
	}
	const copied, renamed = "put a copy of what it leads to in its place", "rename the one of the two that is not meant"
	for _, test := range []struct {
		put          func(root, at string) error
		at, do, told string
	}{
		{link, "Windows", copied, `"Windows" is a link to "/`}, {link, "Windows/System32", copied, `"Windows/System32" is a link to "/`},
		{link, config, copied, `"Windows/System32/config" is a link to "/`}, {link, wintest.Config + "SOFTWARE", copied, `config/SOFTWARE" is a link to "/`},
		{link, wintest.Config + "SYSTEM", copied, `config/SYSTEM" is a link to "/`}, {link, wintest.Fltmgr, copied, `fltmgr.sys" is a link to "/`},
		{twin, "Windows", "name the one that is the Windows directory", "cannot be told"}, {twin, "Windows/System32", renamed, "cannot be told"},
		{twin, config, renamed, "cannot be told"}, {twin, wintest.Config + "SOFTWARE", renamed, "cannot be told"}, {twin, wintest.Ntoskrnl, renamed, "cannot be told"},
	} {
		root := written(t, vista("6002", sp2).Has(good2, good2))
		if err := test.put(root, test.at); err != nil {
			t.Fatal(err)
		}
		a := kb(t)
		e, err := Gather(root, a)
		told, do := fmt.Sprint(err), fmt.Sprint(err)
		if err == nil {
			f := a.Decide(e)
			told, do = strings.Join(f.Reasons, "\n"), strings.Join(f.Actions, "\n")
		}
		if !strings.Contains(told, test.told) || !strings.Contains(do, test.do) {
			t.Errorf("%s: %s; to do: %s", test.at, told, do)
		}
	}
}

// TestNamesAreFoldedNoFurtherThanNTFSDoes has a letter in the kernel's name that Unicode folds to a k.
func TestNamesAreFoldedNoFurtherThanNTFSDoes(t *testing.T) {
	root := written(t, vista("6002", sp2).Has(good2, good2))
	for _, to := range []string{"nto\u017fkrnl.exe", "ntos\u212arnl.exe"} {
		if err := os.Rename(filepath.Join(root, wintest.Ntoskrnl), filepath.Join(root, "Windows/System32", to)); err != nil {
			t.Fatal(err)
		}
		if f := decideAt(t, root); f.Verdict != advisory.Unknown || !strings.Contains(strings.Join(f.Reasons, "\n"), "it is not there") {
			t.Errorf("%q: %s, because %q", to, f.Verdict, f.Reasons)
		}
		if err := os.Rename(filepath.Join(root, "Windows/System32", to), filepath.Join(root, wintest.Ntoskrnl)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyRecords has as many packages of the hotfix as no system has, in a registry that somebody has made.
func TestManyRecords(t *testing.T) {
	const many = 20000
	w := vista("6002", sp2).Has(old2, old2)
	w.Software.Put(strings.TrimSuffix(wintest.Packages, `\`))
	at := &w.Software
	for name := range strings.SplitSeq(strings.TrimSuffix(wintest.Packages, `\`), `\`) {
		at = &at.Keys[slices.IndexFunc(at.Keys, func(k wintest.HiveKey) bool { return k.Name == name })]
	}
	for i := range many {
		at.Keys = append(at.Keys, wintest.HiveKey{Name: fmt.Sprintf("%s.%d", package6, i), Values: []wintest.HiveValue{wintest.Number("CurrentState", 0x70)}})
	}
	root := written(t, w)
	start := time.Now()
	f := decideAt(t, root)
	if took := time.Since(start); f.Verdict != advisory.Damaged || len(f.Evidence.Packages) != many || took > 20*time.Second {
		t.Errorf("%s by %d records after %v", f.Verdict, len(f.Evidence.Packages), took)
	}
}
