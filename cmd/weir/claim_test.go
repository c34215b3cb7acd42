package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestTargetBelongsToOneProcess starts weir with other state directories on what a running weir writes to, by each name
// that leads there.
func TestTargetBelongsToOneProcess(t *testing.T) {
	s := newStage(t)
	volume := filepath.Dir(s.good)
	p := s.mirror()
	shown, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	if err := unix.Mount(volume, shown, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(shown, unix.MNT_DETACH) })
	for _, dir := range []string{s.good, filepath.Join(s.good, "in"), volume, filepath.Join(shown, filepath.Base(s.good)), shown} {
		for _, flag := range []string{"--adopt", "--adopt --dry-run"} {
			status, out, err := weirOnce(t, append(strings.Fields(flag), "--state", other, s.source, dir)...)
			if status != 2 || !strings.Contains(err, fmt.Sprintf("in use by process %d; end that process", p.cmd.Process.Pid)) {
				t.Errorf("%s with %s: status %d, %s%s", dir, flag, status, out, err)
			}
		}
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("a refusal has left a state directory: %v", err)
	}
	beside := filepath.Join(volume, "beside")
	if status, _, err := weirOnce(t, "--dry-run", "--state", other, s.source, beside); status != 0 {
		t.Errorf("a dry run beside it: status %d, %s", status, err)
	}
	if status, _, err := weirOnce(t, "--state", other, s.source, beside); status != 0 {
		t.Errorf("beside it: status %d, %s", status, err)
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	if status, _, err := weirOnce(t, "--state", other+"2", s.source, s.good); status != 0 {
		t.Errorf("once it was killed: status %d, %s", status, err)
	}
}

// TestTargetIsClaimedWhileItsVolumeIsAway has another volume at the path of a target that a running weir waits for.
func TestTargetIsClaimedWhileItsVolumeIsAway(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	point := filepath.Dir(s.good)
	if err := unix.Unmount(point, 0); err != nil {
		t.Fatal(err)
	}
	p.says(`msg="target absent"`, 1)
	voltest.New(t, "tmpfs", voltest.At(point))
	status, out, err := weirOnce(t, "--state", filepath.Join(t.TempDir(), "other"), s.source, s.good)
	if status != 2 || !strings.Contains(err, "in use by process") {
		t.Errorf("status %d, %s%s", status, out, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(3, 6*time.Second) // The target that is away is behind.
}
