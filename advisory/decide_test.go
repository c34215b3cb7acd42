package advisory

import (
	"slices"
	"strings"
	"testing"
)

func kb(t *testing.T) *Advisory {
	t.Helper()
	l, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := l.Find("975759")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// system is an installation of the given build, with the versions of its filter manager and its kernels. A suffix may stand
// behind a version, with a space between them.
func system(nt NT, build uint16, pack string, as Type, m Machine, files ...string) Evidence {
	e := Evidence{System: System{Name: "Windows", NT: nt, Build: build, ServicePack: pack, Type: as}}
	places := []string{"system32/drivers/fltmgr.sys", "system32/ntoskrnl.exe", "system32/ntkrnlpa.exe"}
	for i, file := range files {
		e.Files = append(e.Files, made(places[i], m, file))
	}
	return e
}

func made(place string, m Machine, file string) Found {
	number, suffix, branched := strings.Cut(file, " ")
	f := Found{Installed: place, Path: place, Machine: m, Size: 1}
	v, err := ParseVersion(number)
	if err != nil {
		f.Problem = file
		return f
	}
	f.Version, f.FileVersion = v, number
	if branched {
		f.FileVersion += " (srv03_sp2_" + suffix + ".091009-1259)"
	}
	return f
}

func server2003(files ...string) Evidence {
	return system(NT{5, 2}, 3790, "Service Pack 2", Server, X64, files...)
}

func vista(build uint16, pack string, files ...string) Evidence {
	return system(NT{6, 0}, build, pack, Client, X64, files...)
}

func both(version string) []string { return []string{version, version} }

func (e Evidence) with(change func(*Evidence)) Evidence {
	change(&e)
	return e
}

func packaged(state PackageState) func(*Evidence) {
	return func(e *Evidence) { e.Packages = []Package{{Key: "k", Arch: "amd64", State: state}} }
}

func renamed(over, file string) func(*Evidence) {
	return func(e *Evidence) {
		e.Renames = append(e.Renames, Rename{From: `\??\C:\Windows\Temp\new`, Over: over, File: made(over, X64, file)})
	}
}

func TestDecision(t *testing.T) {
	const sp1, sp2 = "Service Pack 1", "Service Pack 2"
	const old, good, gdr = "6.0.6002.18005", "6.0.6002.22250", "6.0.6002.19747"
	a := kb(t)
	for name, test := range map[string]struct {
		e    Evidence
		want Verdict
		why  string
	}{
		"2003 mended":                    {server2003(both("5.2.3790.4601 qfe")...), Fixed, "no record"},
		"2003 later":                     {server2003(both("5.2.3790.5000 qfe")...), Fixed, ""},
		"2003 kernel of the GDR branch":  {server2003("5.2.3790.4601 qfe", "5.2.3790.4637 gdr"), Inconsistent, "1 of the 2"},
		"2003 GDR":                       {server2003(both("5.2.3790.4700 gdr")...), Affected, ""},
		"2003 before":                    {server2003(both("5.2.3790.4600 qfe")...), Affected, ""},
		"2003 as released":               {server2003(both("5.2.3790.3959 rtm")...), Affected, ""},
		"2003 before, no suffix":         {server2003(both("5.2.3790.3959")...), Affected, ""},
		"2003 no suffix":                 {server2003(both("5.2.3790.4601")...), Unknown, "does not tell the branch"},
		"2003 strange suffix":            {server2003(both("5.2.3790.4601 foo")...), Unknown, `no branch is called "foo"`},
		"2003 with SP1":                  {system(NT{5, 2}, 3790, sp1, Server, X64, both("5.2.3790.1830 rtm")...), PrerequisiteMissing, "needs Service Pack 2"},
		"2003 without":                   {system(NT{5, 2}, 3790, "", Server, X86), PrerequisiteMissing, "has no service pack"},
		"2003 IA-64":                     {system(NT{5, 2}, 3790, sp2, Server, IA64, both("5.2.3790.4601 qfe")...), Fixed, ""},
		"2003 x86":                       {system(NT{5, 2}, 3790, sp2, Server, X86, "5.2.3790.4601 qfe", "5.2.3790.4601 qfe", "5.2.3790.4600 qfe"), Inconsistent, "2 of the 3"},
		"XP x64":                         {system(NT{5, 2}, 3790, sp2, Client, X64, both("5.2.3790.4601 qfe")...), NotApplicable, "shares the code base"},
		"2000":                           {system(NT{5, 0}, 2195, "Service Pack 4", Server, X86), NotApplicable, "before Windows Server 2003"},
		"XP":                             {system(NT{5, 1}, 2600, sp2, "", X86), NotApplicable, ""},
		"7":                              {system(NT{6, 1}, 7600, "", Client, X64, both("6.1.7600.16385")...), NotApplicable, "released after"},
		"10":                             {system(NT{10, 0}, 19041, "", Client, X64), NotApplicable, "released after"},
		"Vista as released":              {vista(6000, "", both("6.0.6000.20999")...), PrerequisiteMissing, "needs Service Pack 1 or 2"},
		"SP1 as released":                {vista(6001, sp1, both("6.0.6001.18000")...), Affected, ""},
		"SP1 just before":                {vista(6001, sp1, both("6.0.6001.22546")...), Affected, ""},
		"SP1 mended":                     {vista(6001, sp1, both("6.0.6001.22547")...), Fixed, ""},
		"SP2 as released":                {vista(6002, sp2, both(old)...), Affected, ""},
		"SP2 late GDR":                   {vista(6002, sp2, both(gdr)...), Affected, ""},
		"SP2 just before":                {vista(6002, sp2, both("6.0.6002.22249")...), Affected, ""},
		"SP2 mended":                     {vista(6002, sp2, both(good)...), Fixed, ""},
		"SP2 later":                      {vista(6002, sp2, both("6.0.6002.24566")...), Fixed, ""},
		"2008 of 2019":                   {system(NT{6, 0}, 6003, sp2, Server, X64, both("6.0.6003.20489")...), Fixed, ""},
		"2008 of 2019, old kernel":       {system(NT{6, 0}, 6003, sp2, Server, X64, "6.0.6003.20489", old), Inconsistent, ""},
		"2008 of 2019, GDR":              {system(NT{6, 0}, 6003, sp2, Server, X64, both("6.0.6003.18001")...), Affected, ""},
		"2008 IA-64":                     {system(NT{6, 0}, 6002, sp2, Server, IA64, both(good)...), Unknown, "ends before the table"},
		"some other processor":           {system(NT{6, 0}, 6002, sp2, Server, 0x1c0, both(good)...), Unknown, "no files of Windows Server 2008 for machine 0x1c0"},
		"kernel waits":                   {vista(6002, sp2, good, old).with(renamed("system32/ntoskrnl.exe", good)), PendingRestart, ""},
		"kernel waits, nobody can see":   {vista(6002, sp2, good, old).with(renamed("system32/ntoskrnl.exe", "it is no regular file")), Unknown, "cannot be judged as it is after the next start of the system: it is no regular file"},
		"an older kernel waits":          {vista(6002, sp2, good, old).with(renamed("system32/ntoskrnl.exe", gdr)), Inconsistent, ""},
		"something else waits":           {vista(6002, sp2, good, old).with(renamed("", good)), Inconsistent, ""},
		"one of two waits":               {vista(6002, sp2, both(old)...).with(renamed("system32/ntoskrnl.exe", good)), Affected, ""},
		"an older kernel comes":          {vista(6002, sp2, both(good)...).with(renamed("system32/ntoskrnl.exe", old)), PendingRestart, "1 of the 2 are replaced, by ones that are not"},
		"record of another processor":    {vista(6002, sp2, both(old)...).with(func(e *Evidence) { e.Packages = []Package{{Key: "k", Arch: "x86", State: Installed}} }), Affected, ""},
		"superseded":                     {vista(6002, sp2, both(good)...).with(packaged(Superseded)), Fixed, "the registry has KB975759 as superseded"},
		"another name":                   {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].Original = "calc.exe" }), Unknown, `calls it "calc.exe"`},
		"package waits":                  {vista(6002, sp2, both(old)...).with(packaged(InstallPending)), PendingRestart, "is installed when"},
		"removal waits":                  {vista(6002, sp2, both(good)...).with(packaged(UninstallPending)), PendingRestart, "is removed when"},
		"package waits, files are there": {vista(6002, sp2, both(good)...).with(packaged(InstallPending)), Fixed, "the registry has KB975759 as install pending"},
		"removal waits, files are gone":  {vista(6002, sp2, both(old)...).with(packaged(UninstallPending)), Affected, ""},
		"fixed, with another's record":   {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Packages = []Package{{Key: "k", Arch: "x86", State: Staged}} }), Fixed, "no record of KB975759"},
		"state that could not be read":   {vista(6002, sp2, both(good)...).with(packaged(UnreadState)), Fixed, "as in a state that could not be read"},
		"records that could not be read": {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.RecordsUnread = true }), Fixed, "what the registry says of KB975759 could not be read"},
		"renames that could not be read": {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.RenamesUnread = true }), Unknown, "could not be read"},
		"unread renames of another":      {system(NT{6, 1}, 7600, "", Client, X64).with(func(e *Evidence) { e.RenamesUnread = true }), NotApplicable, ""},
		"2008 before its release":        {system(NT{6, 0}, 6000, "", Server, X64, both("6.0.6000.16386")...), Unknown, "build 6000 with no service pack contradicts the system"},
		"2008 without service pack":      {system(NT{6, 0}, 6001, "", Server, X64, both("6.0.6001.18000")...), Unknown, "contradicts the system"},
		"record without files":           {vista(6002, sp2, both(old)...).with(packaged(Installed)), Damaged, ""},
		"record with one file":           {vista(6002, sp2, good, old).with(packaged(Installed)), Inconsistent, ""},
		"staged is not installed":        {vista(6002, sp2, both(old)...).with(packaged(Staged)), Affected, ""},
		"record and files":               {vista(6002, sp2, both(good)...).with(packaged(Installed)), Fixed, "registry says"},
		"file of another service pack":   {vista(6002, sp2, good, "6.0.6001.22547"), Inconsistent, "system's build"},
		"truncated kernel":               {vista(6002, sp2, good, "it is cut short"), Unknown, "system32/ntoskrnl.exe: it is cut short"},
		"truncated filter manager":       {vista(6002, sp2, "it is cut short", good), Unknown, "it tells the processor"},
		"no kernel":                      {vista(6002, sp2, good), Unknown, "it was not looked for"},
		"nothing known":                  {Evidence{Missing: []string{"SOFTWARE is not there"}}, Unknown, "SOFTWARE is not there"},
		"client or server":               {system(NT{6, 0}, 6002, sp2, "", X64, both(good)...), Unknown, "client or a server"},
		"service pack that is no number": {vista(6002, "Service Pack two", both(good)...), Unknown, "is not understood"},
		"service pack against build":     {vista(6002, sp1, both(good)...), Unknown, "none that the article knows"},
		"build against service pack":     {vista(6001, sp2, both(good)...), Unknown, "none that the article knows"},
		"service pack that came later":   {vista(6004, "Service Pack 3", both(good)...), Unknown, "none that the article knows"},
		"candidate of a release":         {vista(6001, "Service Pack 1, v.668", both("6.0.6001.18000")...), Affected, ""},
		"string of another version":      {server2003(both("5.2.3790.4601 qfe")...).with(func(e *Evidence) { e.Files[0].Version[3] = 4700 }), Unknown, "are not the same"},
		"strings of another version":     {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].FileVersion = old + " (vistasp2_gdr.090410-1830)" }), Unknown, "its two versions, " + good + " and " + old + ", are not the same"},
		"name of the other kernel":       {system(NT{5, 2}, 3790, sp2, Server, X86, "5.2.3790.4601 qfe", "5.2.3790.4601 qfe", "5.2.3790.4601 qfe").with(func(e *Evidence) { e.Files[2].Original = "ntkrnlmp.exe" }), Unknown, `calls it "ntkrnlmp.exe"`},
		"names of multiprocessor kernels": {system(NT{5, 2}, 3790, sp2, Server, X86, "5.2.3790.4601 qfe", "5.2.3790.4601 qfe", "5.2.3790.4601 qfe").with(func(e *Evidence) {
			e.Files[1].Original, e.Files[2].Original = "ntkrnlmp.exe", "NTKRPAMP.EXE"
		}), Fixed, ""},
		"kernel for another processor":     {vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].Machine = X86 }), Unknown, "it is for x86, and the system for x64"},
		"revision that no branch has":      {vista(6003, sp2, "6.0.6003.100", "6.0.6003.100"), Unknown, "no branch has revision 100"},
		"version after the files":          {system(NT{6, 1}, 6002, sp2, Server, X64, both(old)...), Unknown, "that build is one of version 6.0"},
		"version and build after them":     {system(NT{6, 1}, 7601, sp1, Server, X64, "6.1.7601.17514", old), Unknown, "system32/ntoskrnl.exe is of another system: version " + old},
		"version before the files":         {system(NT{5, 1}, 2600, sp2, Server, X86, both("5.2.3790.3959 rtm")...), Unknown, "system32/drivers/fltmgr.sys is of another system: version 5.2.3790.3959"},
		"XP for a processor it is not for": {system(NT{5, 2}, 3790, sp2, Client, X86, both("5.2.3790.3959 rtm")...), Unknown, "system32/drivers/fltmgr.sys is for x86, which that system was not made for"},
		"files after the service pack":     {vista(6000, "", both(old)...), Unknown, "is of another system: version " + old},
		"10, which calls itself 6.3":       {system(NT{6, 3}, 19041, "", Client, X64, both("10.0.19041.1")...), NotApplicable, "released after"},
		"a system between those of lists":  {system(NT{6, 0}, 6002, sp2, "other", X64), NotApplicable, "does not list version 6.0"},
	} {
		f := a.Decide(test.e)
		if f.Verdict != test.want || !slices.ContainsFunc(f.Reasons, func(r string) bool { return strings.Contains(r, test.why) }) {
			t.Errorf("%s: %s, because %q, want %s", name, f.Verdict, f.Reasons, test.want)
		}
		if (len(f.Actions) > 0) != f.Verdict.Affects() && f.Verdict != Fixed && f.Verdict != Unknown {
			t.Errorf("%s: %s, with the actions %q", name, f.Verdict, f.Actions)
		}
		if f.Verdict == Unknown && len(f.Actions) == 0 {
			t.Errorf("%s: %s, and nothing is said of what to do", name, f.Reasons)
		}
	}
}

// TestNextStepIsThatOfTheCause asks what is to be done where nothing could be decided.
func TestNextStepIsThatOfTheCause(t *testing.T) {
	const sp1, sp2, good = "Service Pack 1", "Service Pack 2", "6.0.6002.22250"
	a := kb(t)
	for want, e := range map[string]Evidence{
		"look the files up in the whole article": system(NT{6, 0}, 6002, sp2, Server, IA64, both(good)...),
		"ask the vendor":                         system(NT{6, 0}, 6002, sp2, Server, 0x1c0, both(good)...),
		"find out by winver, on the running system, which version, build and service pack": system(NT{6, 1}, 6002, sp2, Server, X64, both(good)...),
		"find out by winver, on the running system, which service pack":                    vista(6002, sp1, both(good)...),
		"find out how system32/ntoskrnl.exe has come there":                                vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].Original = "calc.exe" }),
		"find out by weir advisory catalog":                                                server2003("5.2.3790.4601 qfe", "5.2.3790.4601"),
		"put the file of the system's processor in":                                        vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].Machine = X86 }),
		"rename the other": vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.Files[1].Problem, e.Files[1].Hint = "twins", "rename the other" }),
		"rename the one that tells the processor": vista(6002, sp2, both(good)...).with(func(e *Evidence) {
			e.Files[0].Problem, e.Files[0].Hint = "twins", "rename the one that tells the processor"
		}),
		"let the system start once":                       vista(6002, sp2, both(good)...).with(renamed("system32/ntoskrnl.exe", "it is on another drive")),
		"let the system start once, and check again":      vista(6002, sp2, both(good)...).with(func(e *Evidence) { e.RenamesUnread = true }),
		"make readable what was missing, and check again": {Missing: []string{"SOFTWARE is not there"}},
	} {
		if f := a.Decide(e); f.Verdict != Unknown || len(f.Actions) != 1 || !strings.HasPrefix(f.Actions[0], want) {
			t.Errorf("%s, because %q: %q, want %s", f.Verdict, f.Reasons, f.Actions, want)
		}
	}
}

// TestKernelOfAnotherNameIsNotListedAsMended has the kernel for large memories in the place of the other.
func TestKernelOfAnotherNameIsNotListedAsMended(t *testing.T) {
	e := system(NT{5, 2}, 3790, "Service Pack 2", Server, X86, "5.2.3790.4601 qfe", "5.2.3790.4601 qfe", "5.2.3790.4601 qfe")
	e.Files[1].Original, e.Files[2].Original = "ntkrnlpa.exe", "ntoskrnl.exe"
	rows, why := kb(t).List(e)
	for _, row := range rows {
		if want := row.File.Component == "filter manager"; (row.State == fixed) != want {
			t.Errorf("%s: %s", row.File.Name, row.State)
		}
	}
	if len(rows) != 5 {
		t.Errorf("%d rows, %s", len(rows), why)
	}
}

func TestRecordsOfAnotherProcessorAreRemarked(t *testing.T) {
	f := kb(t).Decide(vista(6002, "Service Pack 2", both("6.0.6002.22250")...).with(func(e *Evidence) {
		e.Packages = []Package{{Key: "k", Arch: "x86", State: Installed}, {Key: "l", Arch: "AMD64", State: Installed}}
	}))
	if len(f.Notes) != 1 || f.Notes[0] != "records of KB975759 for another processor do not count: 1 of 2" {
		t.Errorf("%q", f.Notes)
	}
}

func TestWhatComesAfter(t *testing.T) {
	a := kb(t)
	if f := a.Decide(server2003(both("5.2.3790.4601 qfe")...)); len(f.Actions) != 1 || !strings.HasPrefix(f.Actions[0], "install 978243 too") {
		t.Errorf("2003, fixed: %q", f.Actions)
	}
	if f := a.Decide(vista(6002, "Service Pack 2", both("6.0.6002.22250")...)); len(f.Actions) != 0 {
		t.Errorf("Vista, fixed: %q", f.Actions)
	}
	f := a.Decide(server2003(both("5.2.3790.3959 rtm")...))
	if len(f.Actions) != 3 || f.Actions[0] != "install KB975759" || f.Actions[1] != "restart the system" {
		t.Errorf("2003, affected: %q", f.Actions)
	}
}
