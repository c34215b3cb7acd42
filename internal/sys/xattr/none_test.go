package xattr

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Kernels with and without listxattrat(2) are told the same.
func TestNone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bare", "has"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("has", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(dir+"/has", "trusted.a", []byte("1"), 0); err != nil {
		t.Skip("needs a file system with attributes: ", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n := int(d.Fd())
	for name, want := range map[string]bool{"bare": true, "has": false, "link": true, "nothing": false, "a\x00b": false} {
		if none := noneByPath(n, name); none != want {
			t.Errorf("%s by path: %v", name, none)
		}
		if none := None(n, name); none != want {
			t.Errorf("%s: %v", name, none)
		}
	}
	if !Bare(n) {
		t.Error("the directory has no attributes")
	}
}
