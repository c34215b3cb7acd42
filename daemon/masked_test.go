package daemon

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestEditsUnderARename edits files of the replica, and then changes names and attributes of the same files on the
// source: what weir does to an object must not make it take over what somebody else has done to it.
func TestEditsUnderARename(t *testing.T) {
	voltest.RequireRoot(t)
	for name, change := range map[string]func(s *scene){
		"renamed":  func(s *scene) { rename(t, s.in("file"), s.in("moved")) },
		"chmod":    func(s *scene) { chmod(t, s.in("file"), 0o600) },
		"unlinked": func(s *scene) { remove(t, s.in("second")) },
		"linked":   func(s *scene) { link(t, s.in("file"), s.in("third")) },
		"parked": func(s *scene) {
			rename(t, s.in("file"), s.from.Dir+"/outside")
			rename(t, s.from.Dir+"/outside", s.in("back"))
		},
	} {
		for edit, do := range map[string]func(path string){
			"longer":    func(path string) { write(t, path, "what somebody else has written") },
			"same size": func(path string) { write(t, path, "two") },
			"mode":      func(path string) { chmod(t, path, 0o777) },
		} {
			t.Run(name+", "+edit, func(t *testing.T) {
				s := newScene(t, "ext4", "xfs", false)
				write(t, s.in("file"), "one")
				link(t, s.in("file"), s.in("second"))
				s.begin()
				s.alike()
				do(s.at("file"))
				change(s)
				write(t, s.in("last"), "1")
				s.awaitText(s.at("last"), "1")
				s.end()
				s.begin()
				s.alike()
				s.end()
			})
		}
	}
}

// TestAdoptedFileGetsItsAttributes takes over files that are equal but for what is no content.
func TestAdoptedFileGetsItsAttributes(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	for _, path := range []string{s.in("more"), s.in("fewer"), s.at("more"), s.at("fewer")} {
		write(t, path, "the same")
	}
	for _, path := range []string{s.in("more"), s.at("fewer")} {
		if err := unix.Setxattr(path, "user.weir", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	was := inode(t, s.at("more"))
	s.o.Adopt = true
	s.begin()
	s.alike()
	if inode(t, s.at("more")) != was {
		t.Error("an equal file was copied")
	}
	s.end()
}

func chmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Link(from, to); err != nil {
		t.Fatal(err)
	}
}
