package daemon

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/internal/voltest"
	filetree "github.com/weirfs/weir/tree"
)

// TestNamesThatTheTargetDoesNotAllow lists names with the reason, and of a directory that cannot be made nothing else.
func TestNamesThatTheTargetDoesNotAllow(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "exfat", false)
	for _, path := range []string{"plain", "d:r/in", "d:r/o:d", "d:r/below/o:d", "d/a:b"} {
		mkdir(t, filepath.Dir(s.in(path)))
		write(t, s.in(path), path)
	}
	s.begin()
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.lists("d:r", "d/a:b")
	for _, p := range s.m.Status().Problems {
		if p.Reason != "the target cannot store this name: it has characters that are not allowed there" {
			t.Errorf("%s: %s", p.Path, p.Reason)
		}
	}
	s.end()
}

// TestNameThatCannotBeTried says why, and nothing of the name under which it is tried.
func TestNameThatCannotBeTried(t *testing.T) {
	voltest.RequireRoot(t)
	v := voltest.New(t, "exfat")
	v.Remount(unix.MS_RDONLY, "")
	dir, err := filetree.OpenPath(v.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := new(target.Target).TryName(dir, "a:b"); !errors.Is(err, syscall.EROFS) || strings.Contains(err.Error(), "name-") {
		t.Error(err)
	}
}
