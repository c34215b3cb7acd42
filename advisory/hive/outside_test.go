package hive_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/wintest"
)

// A hive that another tool has changed: the keys and values of this file, added to what a test has built.
const registryFile = `Windows Registry Editor Version 5.00

[HKEY_X\Added]
"text"="added text"
"number"=dword:0000002a
"list"=hex(7):61,00,00,00,00,00,62,00,00,00,00,00

[HKEY_X\Added\Below]

[HKEY_X\Microsoft\Windows NT\CurrentVersion]
"Added"="more"

`

// tool returns a program's path, or skips the test aloud.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is missing: install the package %s", name, pkg)
	return ""
}

func TestWhatOtherToolsHaveWrittenIsRead(t *testing.T) {
	hivex, reged := tool(t, "hivexregedit", "libwin-hivex-perl"), tool(t, "reged", "chntpw")
	for program, args := range map[string]func(file, registry string) []string{
		hivex: func(file, registry string) []string { return []string{"--merge", "--prefix", `HKEY_X`, file, registry} },
		reged: func(file, registry string) []string { return []string{"-C", "-I", file, `HKEY_X`, registry} },
	} {
		for _, minor := range []uint32{3, 5} {
			dir := t.TempDir()
			file, registry := filepath.Join(dir, "SOFTWARE"), filepath.Join(dir, "more.reg")
			write(t, file, software(wintest.Hive{Minor: minor}, 20).Bytes())
			write(t, registry, []byte(strings.ReplaceAll(registryFile, "\n", "\r\n")))
			out, err := exec.CommandContext(t.Context(), program, args(file, registry)...).CombinedOutput()
			changed, failed := os.ReadFile(file)
			if failed != nil {
				t.Fatal(failed)
			}
			h := open(t, changed)
			k, missing := h.Key("ADDED")
			if missing != nil {
				t.Fatalf("%s, version 1.%d: %v\n%v %s", program, minor, missing, err, out)
			}
			text, err1 := k.String("text")
			number, err2 := k.Number("number")
			list, err3 := k.Strings("list")
			if text != "added text" || number != 42 || strings.Join(list, "|") != "a||b" {
				t.Errorf("%s, version 1.%d: %q %v, %d %v, %q %v", program, minor, text, err1, number, err2, list, err3)
			}
			if below, err := k.Keys(); err != nil || strings.Join(below, "|") != "Below" {
				t.Errorf("%s, version 1.%d: keys %q, %v", program, minor, below, err)
			}
			version := key(t, h, `Microsoft\Windows NT\CurrentVersion`)
			added, err1 := version.String("Added")
			before, err2 := version.String("CurrentVersion")
			long, err3 := key(t, h, "Жук").String("long")
			if added != "more" || before != "6.0" || long != longText {
				t.Errorf("%s, version 1.%d: %q %v, %q %v, %.20q %v", program, minor, added, err1, before, err2, long, err3)
			}
		}
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
