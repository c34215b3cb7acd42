package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir/advisory/image"
	"github.com/weirfs/weir/internal/wintest"
)

// installed writes a system of build 6002 with the given files.
func installed(t *testing.T, filterManager, kernel string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := wintest.Windows("6.0", "6002", "Service Pack 2", "ServerNT").Has(filterManager, kernel).Write(root); err != nil {
		t.Fatal(err)
	}
	return root
}

// kept writes a file of its own.
func kept(t *testing.T, name string, b []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	before  = "6.0.6002.18005"
	article = "6.0.6002.22250"
)

func TestAdvisoryCheck(t *testing.T) {
	asked(t, 0, "advisory check "+installed(t, article, article), `KB975759: FIXED`, `Windows of a test, version 6\.0\.6002, Service Pack 2, server`, `fltmgr\.sys +6\.0\.6002\.22250 +LDR +x64`)
	asked(t, 1, "advisory check --advisory 975759 "+installed(t, before, before), `AFFECTED`, `1?install KB975759`, `restart the system`, `6\.0\.6002\.18005 is before 6\.0\.6002\.22250`)
	asked(t, 1, "advisory check "+installed(t, article, before), `INCONSISTENT`)
	root := installed(t, article, article)
	if err := os.Truncate(filepath.Join(root, wintest.Ntoskrnl), 600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := weirRun("advisory", "check", root)
	if status != 2 || !strings.Contains(out, "UNKNOWN") || errs != "" {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	var told struct {
		Findings []struct {
			Verdict  string
			Evidence struct{ System struct{ NT string } }
		}
	}
	text := asked(t, 0, "advisory check --json "+installed(t, article, article))
	if err := json.Unmarshal([]byte(text), &told); err != nil || len(told.Findings) != 1 || told.Findings[0].Verdict != "FIXED" || told.Findings[0].Evidence.System.NT != "6.0" {
		t.Errorf("%v: %s", err, text)
	}
	asked(t, 2, "advisory check "+t.TempDir(), "look for Windows in")
	asked(t, 2, "advisory check --advisory KB1 "+root, "find advisory KB1: there is none; there are: KB975759")
}

// TestPendingRenamesAreTold has one file renamed and another deleted.
func TestPendingRenamesAreTold(t *testing.T) {
	root := t.TempDir()
	w := wintest.Windows("6.0", "6002", "Service Pack 2", "ServerNT").Has(article, article).With("new", wintest.Executable(wintest.X64, article, "ntoskrnl.exe"))
	w.System.Put(wintest.SessionManager, wintest.Texts("PendingFileRenameOperations",
		`\??\C:\new`, `!\??\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\Windows\system32\drivers\fltmgr.sys`, ""))
	if err := w.Write(root); err != nil {
		t.Fatal(err)
	}
	status, out, errs := weirRun("advisory", "check", root)
	for _, want := range []string{
		`\??\C:\new is renamed to !\??\C:\Windows\system32\ntoskrnl.exe`, `\??\C:\Windows\system32\drivers\fltmgr.sys is deleted`,
		"system32/drivers/fltmgr.sys cannot be judged as it is after the next start of the system: it is deleted then",
	} {
		if status != 2 || !strings.Contains(out, want) {
			t.Errorf("status %d, want 2 and %s\n%s%s", status, want, out, errs)
		}
	}
}

// TestAdvisoryCheckIsSafeOnATerminal has a system whose name would move the cursor.
func TestAdvisoryCheckIsSafeOnATerminal(t *testing.T) {
	const hostile = "\x1b[2Jgone\u202e\x7f\u0085\U000e0001<"
	root := t.TempDir()
	w := wintest.Windows("6.0", "6002", "Service Pack 2", "ServerNT").Has(article, article)
	w.Software.Put(wintest.CurrentVersion, wintest.Text("ProductName2", ""))
	w.Software.Keys[0].Keys[0].Keys[0].Values[2] = wintest.Text("ProductName", hostile)
	if err := w.Write(root); err != nil {
		t.Fatal(err)
	}
	const control = "\x1b\u202e\x7f\u0085"
	if out := asked(t, 0, "advisory check "+root, `\\x1b\[2Jgone\\u202e\\x7f\\u0085`); strings.ContainsAny(out, control) {
		t.Errorf("%q", out)
	}
	out := asked(t, 0, "advisory check --json "+root, `\\u202e\\u007f\\u0085`)
	var told struct {
		Findings []struct {
			Evidence struct{ System struct{ Name string } }
		}
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || strings.ContainsAny(out, control) || told.Findings[0].Evidence.System.Name != hostile {
		t.Errorf("%v: %q", err, out)
	}
}

func TestAdvisoryFiles(t *testing.T) {
	asked(t, 0, "advisory files "+installed(t, article, before), `Fltmgr\.sys +6\.0\.6002\.22250 +6\.0\.6002\.22250 +Windows Vista and Windows Server 2008 +SP2 +LDR +fixed`, `Ntoskrnl\.exe +6\.0\.6002\.22250 +6\.0\.6002\.18005 .*GDR +not fixed`)
	status, out, _ := weirRun("advisory", "files", t.TempDir())
	if status != 2 || out != "" {
		t.Errorf("status %d\n%s", status, out)
	}
}

func TestAdvisoriesAreListedAndShown(t *testing.T) {
	asked(t, 0, "advisory list", `KB975759 +Windows Server 2003, Windows Vista, Windows Server 2008`)
	asked(t, 0, "advisory show kb975759", `Wntdll\.dll +IA-64 +5\.2\.3790\.4455 +775168 +2009-11-25 06:37 +x86`, `978243`, `ends before the table`)
	text := asked(t, 0, "advisory show --toml 975759")
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "mine.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(text, `id = "KB975759"`, `id = "MINE-1"`, 1))
	asked(t, 0, "advisory list --data "+dir, "MINE-1")
	asked(t, 1, "advisory check --data "+dir+" "+installed(t, before, before), "MINE-1: AFFECTED", "KB975759: AFFECTED")
	fifo := filepath.Join(dir, "pipe.toml")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	asked(t, 2, "advisory list --data "+dir, `pipe\.toml: it is no regular file`)
	asked(t, 2, "advisory list --data "+fifo, `not a directory`)
	if err := os.Remove(fifo); err != nil {
		t.Fatal(err)
	}
	write(strings.Replace(text, "size = 132096", "size = 'x'", 1))
	asked(t, 2, "advisory list --data "+dir, `read advisory .*mine\.toml: line \d+, column \d+: `)
	for _, verb := range []string{"list", "show 975759", "check " + dir, "files " + dir} {
		asked(t, 2, "advisory "+verb+" --data "+dir+"/none", "none")
	}
}

func TestAdvisoryFltmc(t *testing.T) {
	const listing = `Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs  VlStatus
--------------------  -------------------------------------  ------------  ----------------------  -----   --------  --------
replicator            C:                                        302000     replicator                0     00000003
replicator            D:                                        302000     replicator                0     00000003

Dos Name                        Volume Name                              FileSystem   Status
------------------------------  ---------------------------------------  ----------  --------
C:                              \Device\HarddiskVolume1                  NTFS
D:                              \Device\HarddiskVolume2                  NTFS
                                \Device\Mup                              Remote
`
	asked(t, 0, "advisory fltmc "+kept(t, "good.txt", []byte(listing)), "No volume is missed without an explanation")
	missed := listing + "E:                              \\Device\\HarddiskVolume3                  NTFS\n"
	asked(t, 1, "advisory fltmc "+kept(t, "bad.txt", []byte(missed)), `E: +\\Device\\HarddiskVolume3 +NTFS +replicator +2 of 3`, "network redirector")
	alone, _, _ := strings.Cut(listing, "\nDos Name")
	alone += "other                 C:                                        100        other                     0     00000003\n"
	alone += "other                 E:                                        100        other                     0     00000003\n"
	asked(t, 1, "advisory fltmc "+kept(t, "alone.txt", []byte(alone)), `E: .*replicator.*no listing says which file system`)
	asked(t, 2, "advisory fltmc "+kept(t, "none.txt", []byte("hello\n")), "none.txt")
	asked(t, 2, "advisory fltmc "+filepath.Join(t.TempDir(), "absent"), "absent")
}

// TestAdvisoryCatalog has the files of a system listed in a catalog that a test root has signed.
func TestAdvisoryCatalog(t *testing.T) {
	root := installed(t, article, article)
	catalog := wintest.Catalog{Version: 1, Made: time.Now()}
	for _, path := range []string{wintest.Fltmgr, wintest.Ntoskrnl} {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := image.Authenticode(b, crypto.SHA1)
		if err != nil {
			t.Fatal(err)
		}
		catalog.Members = append(catalog.Members, wintest.CatalogMember{Hash: sum, PE: true, File: filepath.Base(path), OS: "2:6.0"})
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}
	authority := wintest.Issue(template, "Microsoft Root Authority", key, nil)
	signer := wintest.Issue(x509.Certificate{
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, "Publisher", key, &authority)
	file := kept(t, "a.cat", catalog.Sign([]wintest.Identity{signer, authority}, wintest.Signing{By: signer}))
	given := kept(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Cert.Raw}))

	if out := asked(t, 0, "advisory catalog --root "+given+" "+file+" "+root, "PROVED, up to a root that was given, and that is none of Microsoft's", `fltmgr\.sys +listed by SHA-1 +fltmgr\.sys +2:6\.0`); strings.Contains(out, "UNPROVED") {
		t.Error(out)
	}
	status, out, errs := weirRun("advisory", "catalog", file, root)
	if status != 2 || !strings.Contains(out, "UNPROVED, up to no root that is trusted") || errs != "" {
		t.Errorf("without the root: status %d\n%s%s", status, out, errs)
	}
	asked(t, 1, "advisory catalog --root "+given+" "+file+" "+installed(t, article, before), `ntoskrnl\.exe +not listed`)
	catalog.Members = append(catalog.Members, wintest.CatalogMember{Hash: make([]byte, crypto.MD5.Size()), File: "old.sys"})
	file5 := kept(t, "b.cat", catalog.Sign([]wintest.Identity{signer, authority}, wintest.Signing{By: signer}))
	asked(t, 0, "advisory catalog --root "+given+" "+file5+" "+root, "1 member cannot be looked up: without a hash of SHA-1 or SHA-256, or with two that differ")
	asked(t, 0, "advisory catalog --json --root "+given+" "+file+" "+root, `"unproved":\[\]`)
	config := filepath.Join(t.TempDir(), "Windows/System32/config")
	if err := os.MkdirAll(config, 0o755); err != nil {
		t.Fatal(err)
	}
	empty := strings.TrimSuffix(config, "/Windows/System32/config")
	for _, args := range [][]string{{"catalog", "--root", given, file}, {"files"}} {
		status, out, _ := weirRun(append(append([]string{"advisory"}, args...), empty, "--json")...)
		if status != 2 || !strings.Contains(out, `"files":[]`) {
			t.Errorf("%s: status %d\n%s", args, status, out)
		}
	}
	asked(t, 2, "advisory catalog "+given+" "+root, "read catalog")
	asked(t, 2, "advisory catalog --root "+file+" "+file+" "+root, "read roots")
}
