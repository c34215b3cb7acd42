package hive_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir/advisory/hive"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/internal/wintest"
)

// What other tools add to a hive that a test has built: as a file of the registry editor, and as hivexsh's commands.
const registryFile = `Windows Registry Editor Version 5.00

[HKEY_X\Added]
"text"="added text"
"number"=dword:0000002a
"list"=hex(7):61,00,00,00,00,00,62,00,00,00,00,00

[HKEY_X\Added\Below]

`

const hivexCommands = `add Added
cd Added
add Below
setval 3
text
string:added text
number
dword:42
list
hex:7:61,00,00,00,00,00,62,00,00,00,00,00
cd \Microsoft
add Added too
cd \Session
del
commit
`

func TestWhatOtherToolsHaveWrittenIsRead(t *testing.T) {
	voltest.RequireTool(t, "hivexsh", "libhivex-bin")
	voltest.RequireTool(t, "reged", "chntpw")
	for program, args := range map[string]func(file, dir string) []string{
		"hivexsh": func(file, dir string) []string { return []string{"-w", "-f", filepath.Join(dir, "commands"), file} },
		"reged": func(file, dir string) []string {
			return []string{"-C", "-I", file, "HKEY_X", filepath.Join(dir, "more.reg")}
		},
	} {
		for _, minor := range []uint32{3, 5} {
			dir := t.TempDir()
			file := filepath.Join(dir, "SOFTWARE")
			write(t, file, software(wintest.Hive{Minor: minor}, 20).Bytes())
			write(t, filepath.Join(dir, "more.reg"), []byte(strings.ReplaceAll(registryFile, "\n", "\r\n")))
			write(t, filepath.Join(dir, "commands"), []byte(hivexCommands))
			out, err := exec.CommandContext(t.Context(), program, args(file, dir)...).CombinedOutput()
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
			if below, err := namesBelow(k); err != nil || strings.Join(below, "|") != "Below" {
				t.Errorf("%s, version 1.%d: keys %q, %v", program, minor, below, err)
			}
			before, err1 := key(t, h, `Microsoft\Windows NT\CurrentVersion`).String("CurrentVersion")
			long, err2 := key(t, h, "Жук").String("long")
			if before != "6.0" || long != longText {
				t.Errorf("%s, version 1.%d: %q %v, %.20q %v", program, minor, before, err1, long, err2)
			}
			_, gone := h.Key("Session")
			_, there := h.Key(`Microsoft\Added too`)
			if program == "hivexsh" && (!errors.Is(gone, hive.ErrAbsent) || there != nil) {
				t.Errorf("version 1.%d: a key that is gone: %v; one that is new: %v", minor, gone, there)
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
