package wintest

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
)

// peWritten returns the path of a file that has these bytes.
func peWritten(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "built.sys")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// peOutput runs a tool of a package.
func peOutput(t *testing.T, pkg, tool string, args ...string) string {
	t.Helper()
	voltest.RequireTool(t, tool, pkg)
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
	return string(out)
}

func peMachines() map[uint16]string {
	return map[uint16]string{
		X86: "PE32 executable (native) Intel 80386", X64: "PE32+ executable (native) x86-64",
		IA64: "PE32+ executable (native) Intel Itanium",
	}
}

func TestFileKnowsTheExecutables(t *testing.T) {
	for machine, want := range peMachines() {
		got := peOutput(t, "file", "file", "-b", peWritten(t, PE{Machine: machine, Size: 189000}.Bytes()))
		if !strings.HasPrefix(got, want) {
			t.Errorf("%v: file says %q, want %q", machine, got, want)
		}
	}
}

// TestWrestoolFindsTheVersionResource compares what icoutils takes out of the file with what went in.
func TestWrestoolFindsTheVersionResource(t *testing.T) {
	for machine := range peMachines() {
		p := PE{
			Machine: machine, Version: [4]uint16{6, 0, 6002, 22250}, FileVersion: "6.0.6002.22250 (vistasp2_ldr.091023-0300)",
			OriginalFilename: "fltMgr.sys", ProductName: "Microsoft® Windows® Operating System", Language: 0x407, Size: 5001,
		}
		path := peWritten(t, p.Bytes())
		if got := peOutput(t, "icoutils", "wrestool", "-l", path); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--type=16 --name=1 --language=1031") {
			t.Errorf("%v: wrestool lists %q", machine, got)
		}
		if got := peOutput(t, "icoutils", "wrestool", "-x", "--raw", "-t", "16", path); got != string(p.VersionResource()) {
			t.Errorf("%v: wrestool finds %q", machine, got)
		}
	}
}

// TestTheChecksumIsRight asks osslsigncode, which says so where it is not. It finds no signature, and so always fails; and it
// leaves out the last byte of an odd size, which Windows does not, so that the sizes are even.
func TestTheChecksumIsRight(t *testing.T) {
	voltest.RequireTool(t, "osslsigncode", "osslsigncode")
	for machine := range peMachines() {
		for size := 4096; size < 4096+8; size += 2 {
			b := PE{Machine: machine, Size: size}.Bytes()
			right, _ := exec.Command("osslsigncode", "verify", peWritten(t, b)).CombinedOutput()
			b[len(b)-1]++
			wrong, _ := exec.Command("osslsigncode", "verify", peWritten(t, b)).CombinedOutput()
			const warning = "invalid PE checksum"
			if bytes.Contains(right, []byte(warning)) || !bytes.Contains(wrong, []byte(warning)) {
				t.Errorf("%v, %d bytes: osslsigncode says\n%s, and of a wrong one\n%s", machine, size, right, wrong)
			}
		}
	}
}

func TestTheSizeIsTheOneThatIsWanted(t *testing.T) {
	for _, size := range []int{132096, 229376, 476160, 189000, 272456, 188984, 273976, 4097} {
		if got := len(PE{Size: size}.Bytes()); got != size {
			t.Errorf("built %d bytes, want %d", got, size)
		}
	}
	if got := len(PE{}.Bytes()); got != 2048 {
		t.Errorf("the smallest has %d bytes", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("100 bytes have room for an executable")
		}
	}()
	PE{Size: 100}.Bytes()
}

func TestTheSamePEGivesTheSameBytes(t *testing.T) {
	p := PE{Strings: map[string]string{"B": "b", "A": "a", "C": "c", "Empty": ""}, FileVersion: "1"}
	first := p.Bytes()
	for range 20 {
		if !bytes.Equal(first, p.Bytes()) {
			t.Fatal("they differ")
		}
	}
	if bytes.Contains(first, binary.LittleEndian.AppendUint16([]byte("E\x00m\x00p\x00t\x00"), 'y')) {
		t.Error("a string without text is there")
	}
}
