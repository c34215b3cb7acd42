package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestRightsThatAreMissing has weir run without each of some capabilities: what it may not set is listed, with the
// capability and not as a limit of the target, and comes when weir has it.
func TestRightsThatAreMissing(t *testing.T) {
	voltest.RequireRoot(t)
	voltest.RequireTool(t, "setpriv", "util-linux")
	voltest.RequireTool(t, "setcap", "libcap2-bin")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ capability, path, reason string }{
		{"fowner", "owned", "mode: operation not permitted: weir runs without CAP_FOWNER; mtime: operation not permitted: weir runs without CAP_FOWNER"},
		{"fowner", "dir", "mode: operation not permitted: weir runs without CAP_FOWNER"},
		{"chown", "owned", "owner: operation not permitted: weir runs without CAP_CHOWN"},
		{"fsetid", "owned", "mode: stored as 0755 instead of 2755: weir runs without CAP_FSETID"},
		{"mknod", "null", "make special file"},
		{"mknod", "null", "operation not permitted: weir runs without CAP_MKNOD"},
		{"setfcap", "capable", "security.capability: operation not permitted: weir runs without CAP_SETFCAP"},
	} {
		t.Run(c.capability, func(t *testing.T) {
			source, target, state := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir, filepath.Join(t.TempDir(), "st")
			for _, name := range []string{"owned", "capable"} {
				if err := os.WriteFile(filepath.Join(source, name), []byte(name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			owned, dir := filepath.Join(source, "owned"), filepath.Join(source, "dir")
			err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, 12, 34), unix.Chmod(dir, 0o2750))
			if err := errors.Join(err, os.Chown(owned, 12, 34), unix.Chmod(owned, 0o2755), unix.Mknod(filepath.Join(source, "null"), unix.S_IFCHR|0o600, 1<<8|3)); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("setcap", "cap_net_raw+ep", filepath.Join(source, "capable")).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var out, errs bytes.Buffer
			cmd := asWeir(exec.Command("setpriv", "--bounding-set=-"+c.capability, "--inh-caps=-"+c.capability, self, "mirror", "--once", "--state", state, source, target))
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run() // The status says it.
			listed := false
			for line := range strings.Lines(out.String()) {
				listed = listed || strings.HasPrefix(line, c.path+" -> "+target+": ") && strings.Contains(line, c.reason)
			}
			if status := cmd.ProcessState.ExitCode(); status != 1 || !listed || strings.Contains(errs.String(), "the target cannot store") {
				t.Errorf("status %d, %s\n%s", status, &out, &errs)
			}
			if status, out, errs := weirOnce(t, "--state", state, source, target); status != 0 {
				t.Errorf("with all rights: status %d, %s%s", status, out, errs)
			}
			if status, out, errs := verifyRun(source, target); status != 0 {
				t.Errorf("with all rights: %s%s", out, errs)
			}
		})
	}
}

// TestRightsThatAreNeeded says first what is missing, in a line that can be read.
func TestRightsThatAreNeeded(t *testing.T) {
	voltest.RequireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Open(self) // Not everybody reaches where it lies.
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for want, around := range map[string][]string{
		"weir: start: weir has no CAP_SYS_ADMIN; ":                                               {"setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"},
		"weir: claim the targets: open /run/weir/targets: permission denied; run weir as root; ": {"setpriv", "--reuid=65534", "--clear-groups"},
		"weir: start: root of a user namespace has no rights over whole file systems; run weir ": {"unshare", "--user", "--map-root-user", "--mount"},
	} {
		voltest.RequireTool(t, around[0], "util-linux")
		dir := t.TempDir()
		cmd := asWeir(exec.Command(around[0], append(around[1:], "/proc/self/fd/3", "mirror", "--once", "--state", filepath.Join(dir, "st"), dir, t.TempDir())...))
		cmd.ExtraFiles = []*os.File{binary}
		out, _ := cmd.CombinedOutput() // The status says it.
		if status := cmd.ProcessState.ExitCode(); status != 2 || !strings.HasPrefix(string(out), want) || len(out) > 250 {
			t.Errorf("status %d: %s", status, out)
		}
	}
}
