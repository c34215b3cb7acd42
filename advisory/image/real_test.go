package image

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/internal/wintest"
)

// realFiles are executables of Windows that packages of Debian have: win32-loader (the one with a version that Windows finds),
// systemd-boot-efi, shim, nsis.
func realFiles() (paths []string) {
	for _, pattern := range []string{
		"/usr/share/win32/*.exe", "/usr/lib/systemd/boot/efi/*.efi", "/usr/lib/shim/*.efi*", "/usr/share/nsis/*/*.exe",
		"/usr/share/nsis/Plugins/*/*.dll", "/usr/lib/python3*/dist-packages/*/*.exe", "/usr/lib/*-linux-gnu/wine/*-windows/*.sys",
	} {
		found, _ := filepath.Glob(pattern) // an error is a pattern that is wrong
		paths = append(paths, found...)
	}
	return paths
}

// readSmall reads a file that is small enough to be a seed.
func readSmall(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || info.Size() > 64<<10 {
		return nil, fmt.Errorf("%s: %v bytes are too many: %w", path, info, err)
	}
	return os.ReadFile(path)
}

// otherReader prints what pefile reads of the version of each file; null where Windows would find none.
const otherReader = `
import json, pefile, sys
for path in sys.argv[1:]:
    pe, found = pefile.PE(path, fast_load=True), None
    pe.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_RESOURCE"]])
    for kind in pe.DIRECTORY_ENTRY_RESOURCE.entries if hasattr(pe, "DIRECTORY_ENTRY_RESOURCE") else []:
        if kind.id == 16 and kind.directory.entries[0].id == 1:
            v, strings = pe.VS_FIXEDFILEINFO[0], {}
            for info in pe.FileInfo[0]:
                for table in getattr(info, "StringTable", [])[:1]:
                    strings = {k.decode(): s.decode() for k, s in table.entries.items()}
            found = [pe.FILE_HEADER.Machine, v.FileVersionMS >> 16, v.FileVersionMS & 65535, v.FileVersionLS >> 16, v.FileVersionLS & 65535]
            found += [strings.get(k, "").rstrip(" \0") for k in ("FileVersion", "OriginalFilename")]
    print(json.dumps(found))
`

func TestRealFilesReadAsAnotherReaderReadsThem(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's pefile
	if err := exec.Command(python, "-c", "import pefile").Run(); err != nil {
		voltest.Skip(t, "pefile", "install python3-pefile, or run make deps")
	}
	paths := realFiles()
	if len(paths) == 0 {
		voltest.Skip(t, "executable of Windows", "install win32-loader, or run make deps")
	}
	for i, machine := range []advisory.Machine{advisory.X86, advisory.X64, advisory.IA64} {
		p := driver()
		p.Machine, p.Size = uint16(machine), 4096+i
		path := filepath.Join(t.TempDir(), "built.sys")
		if err := os.WriteFile(path, p.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out, err := exec.Command(python, append([]string{"-c", otherReader}, paths...)...).Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(paths) {
		t.Fatalf("pefile read %d of %d files: %v", len(lines), len(paths), err)
	}
	versions := 0
	for i, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := "null"
		m, err := Read(b)
		if err == nil {
			versions++
			v := m.Version
			line, _ := json.Marshal([]any{uint16(m.Machine), v[0], v[1], v[2], v[3], m.FileVersion, m.OriginalFilename})
			got = string(line)
		}
		var want []any
		if err := json.Unmarshal([]byte(lines[i]), &want); err != nil {
			t.Fatal(err)
		}
		wanted, _ := json.Marshal(want)
		if got != string(wanted) {
			t.Errorf("%s: read %s, %v; pefile %s", path, got, err, wanted)
		}
	}
	t.Logf("compared %d files, of which %d have a version", len(paths), versions)
}

// signer makes a key and signs with it.
type signer struct{ key, certificate string }

func newSigner(t *testing.T) signer {
	t.Helper()
	voltest.RequireTool(t, "osslsigncode", "osslsigncode")
	voltest.RequireTool(t, "openssl", "openssl")
	dir := t.TempDir()
	s := signer{filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem")}
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", s.key, "-out", s.certificate,
		"-days", "30", "-subj", "/CN=test", "-addext", "extendedKeyUsage=codeSigning").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return s
}

// sign returns the signed file and the hash that osslsigncode prints of it.
func (s signer) sign(t *testing.T, b []byte, hash string) (file []byte, digest string) {
	t.Helper()
	dir := t.TempDir()
	in, signed := filepath.Join(dir, "in"), filepath.Join(dir, "signed")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("osslsigncode", "sign", "-certs", s.certificate, "-key", s.key, "-h", hash, "-in", in, "-out", signed).CombinedOutput()
	if err != nil {
		t.Fatalf("osslsigncode sign: %v\n%s", err, out)
	}
	// It fails where it knows the signer and not the time, which is of no concern here.
	out, _ = exec.Command("osslsigncode", "verify", "-CAfile", s.certificate, signed).CombinedOutput()
	found := regexp.MustCompile(`Calculated message digest *: ([0-9A-F]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("osslsigncode verify prints no hash:\n%s", out)
	}
	if file, err = os.ReadFile(signed); err != nil {
		t.Fatal(err)
	}
	return file, strings.ToLower(string(found[1]))
}

func TestTheHashIsThatOfOsslsigncode(t *testing.T) {
	s := newSigner(t)
	files := map[string][]byte{}
	for _, machine := range []advisory.Machine{advisory.X86, advisory.X64, advisory.IA64} {
		for _, size := range []int{0, 4096 + 1, 4096 + 7, 272456} {
			p := wintest.PE{Machine: uint16(machine), Size: size}
			files[fmt.Sprintf("%v of %d bytes", machine, size)] = p.Bytes()
		}
	}
	for _, path := range realFiles() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) < 20 {
			files[path] = b
		}
	}
	for name, b := range files {
		for hash, h := range map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256} {
			file, want := s.sign(t, b, hash)
			for state, b := range map[string][]byte{"unsigned": b, "signed": file} {
				if got, err := Authenticode(b, h); err != nil || hex.EncodeToString(got) != want {
					t.Errorf("%s, %s, %s: hashed %x, %v; osslsigncode %s", name, state, hash, got, err, want)
				}
			}
		}
	}
}
