package advisory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

// TestArticleIsTranscribedWhole counts the rows of the article's tables, and adds up their sizes.
func TestArticleIsTranscribedWhole(t *testing.T) {
	a := kb(t)
	type table struct {
		nt NT
		m  Machine
	}
	rows, bytes := map[table]int{}, map[table]int64{}
	for _, f := range a.Files {
		at := table{f.Version.NT(), f.Machine}
		rows[at]++
		bytes[at] += f.Size
	}
	for at, want := range map[table]struct {
		rows  int
		bytes int64
	}{
		{NT{5, 2}, X86}:  {5, 132096 + 2499584 + 2310656 + 2351104 + 2459136},
		{NT{5, 2}, X64}:  {4, 229376 + 280064 + 4613632 + 4540416},
		{NT{5, 2}, IA64}: {4, 476160 + 1646592 + 6581248 + 775168},
		{NT{6, 0}, X86}:  {6, 189000 + 188984 + 3600456 + 3548744 + 3600952 + 3549752},
		{NT{6, 0}, X64}:  {4, 272456 + 273976 + 4678728 + 4691000},
	} {
		if rows[at] != want.rows || bytes[at] != want.bytes {
			t.Errorf("%v: %d rows with %d bytes, want %+v", at, rows[at], bytes[at], want)
		}
	}
	if len(a.Files) != 23 || len(a.Numbering) != 3 || !slices.Equal(a.Components(), []string{"filter manager", "kernel"}) {
		t.Errorf("%d files, %d rows of numbering, components %q", len(a.Files), len(a.Numbering), a.Components())
	}
}

// TestBadAdvisoryIsRefused changes the one that is built in, a line at a time.
func TestBadAdvisoryIsRefused(t *testing.T) {
	l, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := l.Find("KB975759")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, test := range []struct{ line, instead, want string }{
		{`id = "KB975759"`, `id = ""`, "column 1: id says nothing"},
		{`id = "KB975759"`, `id = "KB 1"`, `column 1: id "KB 1" is not made of`},
		{`restart = true`, `restart = "true"`, "column 11: cannot decode TOML string"},
		{`restart = true`, `reset = true`, `column 1: there is no key "reset"`},
		{`nt = "5.2"`, `nt = "5"`, `column 6: system "5": it is not two numbers`},
		{`nt = "5.2"`, ``, `column 3: product[0] says no nt`},
		{`type = "server"`, `type = "desktop"`, `column 1: "desktop" is not one of client, server`},
		{`type = "server"`, ``, `column 3: product "Windows Server 2003" has no type`},
		{`first_service_pack = 1`, `first_service_pack = 2`, `product "Windows Server 2008" begins with service pack 2, after 1`},
		{`replaces = []`, `replaces = ["a\u202eb"]`, "replaces has control characters"},
		{`platform = "Not applicable"`, `platform = "\u001b[2J"`, "has control characters"},
		{`service_packs = [2]`, `service_packs = []`, `has no service_packs`},
		{`service_packs = [2]`, `service_packs = [2, 3]`, `column 1: there is no [[line]] for service pack 3 of 5.2`},
		{`nt_from = "6.1"`, `nt_from = "5.2"`, `column 3: it fits the product "Windows Server 2003", which is listed`},
		{`machines = ["x64", "IA-64"]`, `machines = ["arm"]`, `"arm" is not one of x86, x64, IA-64`},
		{`nt_from = "6.1"`, ``, "says neither nt nor nt_from nor nt_to"},
		{`builds = [3790]`, `builds = []`, "line[0] has no builds"},
		{`builds = [3790]`, `builds = [70000]`, "cannot"},
		{`builds = [6001]`, `builds = [6001, 6005]`, ""},
		{`builds = [6001]`, `builds = [6001, 6002]`, "build 6002 of 6.0 stands there twice"},
		{`builds = [6001]`, `builds = [6001, 6001]`, "column 1: build 6001 of 6.0 stands there twice"},
		{`service_packs = [2]`, `service_packs = [2, 2]`, "column 1: service pack 2 stands there twice"},
		{`type = "client"`, `type = "server"`, "column 3: there are two products for a server of version 6.0"},
		{`suffixes = ["qfe", "ldr"]`, `suffixes = ["QFE"]`, `column 1: suffix "QFE" is not in lower case`},
		{`version = "6.0.6002.22250"`, `version = "6.0.6001.1"`, "column 1: system32/drivers/fltmgr.sys for x86 is to have version 6.0.6001.1, and by another [[file]] of the same [[line]] 6.0.6001.22547"},
		{`builds = [6001]`, `builds = [6009]`, "there is no [[file]] with a component for these builds"},
		{`suffixes = ["qfe", "ldr"]`, ``, "is told by suffixes or by revisions"},
		{`revisions = [16384, 20479]`, `revisions = [16384]`, "revisions are two numbers"},
		{`suffixes = ["gdr", "rtm"]`, `suffixes = ["gdr", "qfe"]`, `a suffix of branch "LDR" is also one of branch "GDR"`},
		{`revisions = [20480, 65535]`, `revisions = [16384, 65535]`, `revisions of branch "GDR" are also those of branch "LDR"`},
		{`kind = "update"`, `kind = "news"`, `"news" is not one of update, package`},
		{`version = "6.0.6000.20xxx"`, `version = "6.0.20xxx"`, `"6.0.20xxx" is not like`},
		{`machine = "IA-64"`, `machine = "ia64"`, `"ia64" is not one of x86, x64, IA-64`},
		{`name = "Fltmgr.sys"`, `name = " "`, "file[0].name says nothing"},
		{`name = "Fltmgr.sys"`, `name = "\u001b[2J"`, "file[0].name has control characters"},
		{`installed = "system32/drivers/fltmgr.sys"`, `installed = "../fltmgr.sys"`, "is no path below the Windows directory"},
		{`installed = "system32/drivers/fltmgr.sys"`, `installed = "System32/fltmgr.sys"`, "is no path below the Windows directory"},
		{`version = "5.2.3790.4601"`, `version = "5.2.3790"`, `column 11: version "5.2.3790": it has not four numbers`},
		{`version = "5.2.3790.4601"`, `version = "5.2.3790.70000"`, `"70000" is no number from 0 to 65535`},
		{`version = "5.2.3790.4601"`, `version = "5.2.3791.4601"`, `column 1: there is no [[line]] with build 3791 of 5.2`},
		{`size = 132096`, `size = -1`, `column 1: file "Fltmgr.sys" has size -1`},
		{`built = 2009-10-09T20:00:00Z`, ``, "does not say when it was built"},
		{`built = 2009-10-09T20:00:00Z`, `built = 2009-13-09T20:00:00Z`, "column"},
		{`name = "Ntkrnlmp.exe"`, `name = "Fltmgr.sys"`, "stands there twice for x86"},
	} {
		i := slices.Index(lines, test.line)
		if i < 0 {
			t.Errorf("there is no line %q", test.line)
			continue
		}
		changed := slices.Clone(lines)
		changed[i] = test.instead
		_, err := Parse("a.toml", []byte(strings.Join(changed, "\n")))
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%q for %q: %v", test.instead, test.line, err)
		case test.want != "" && (weir.KindOf(err) != weir.KindRefused || !strings.Contains(fmt.Sprint(err), test.want) || !strings.HasPrefix(err.Error(), "read advisory a.toml: line ")):
			t.Errorf("%q for %q: %v, want %s", test.instead, test.line, err, test.want)
		}
	}
	for text, want := range map[string]string{
		"":                             "id says nothing",
		strings.Repeat("#", MaxSize+1): "it has more than",
		"id='a'\ntitle='b'\nsymptom='c'\ncause='d'": "it has no [[",
	} {
		if _, err := Parse("a.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestLibraryIsAddedTo(t *testing.T) {
	l, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := l.Find("kb975759")
	other := strings.Replace(string(text), `id = "KB975759"`, `id = "KB1"`, 1)
	if err := l.Add("dir/a.toml", []byte(other)); err != nil {
		t.Fatal(err)
	}
	if all := l.All(); len(all) != 2 || all[0].ID != "KB1" {
		t.Errorf("%d advisories", len(all))
	}
	bare := strings.Replace(string(text), `id = "KB975759"`, `id = "975759"`, 1)
	for want, text := range map[string]string{"is there already, in dir/a.toml": other, "is there already, in built in": bare, "line 1": "id = 'b"} {
		err := l.Add("dir/b.toml", []byte(text))
		if weir.KindOf(err) != weir.KindRefused || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(err), "dir/b.toml") || len(l.All()) != 2 {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, _, err := l.Find("KB2"); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), "there are: KB1, KB975759") {
		t.Errorf("%v", err)
	}
}
