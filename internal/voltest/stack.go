package voltest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Bind shows the directory from at at as well.
func Bind(t testing.TB, from, at string) {
	t.Helper()
	mount(t, from, at, "", unix.MS_BIND, "")
}

// Overlay mounts an overlay of upper over lower at at. upper and work are on one volume. With nfsExport
// it has file handles and takes superblock marks; without it has neither.
func Overlay(t testing.TB, nfsExport bool, lower, upper, work, at string) {
	t.Helper()
	for _, dir := range []string{lower, upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if nfsExport {
		data += ",index=on,nfs_export=on"
	}
	mount(t, "overlay", at, "overlay", 0, data)
}

// mount makes at and mounts there until the end of the test.
func mount(t testing.TB, source, at, fs string, flags uintptr, data string) {
	t.Helper()
	RequireRoot(t)
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, at, fs, flags, data); err != nil {
		t.Fatalf("voltest: mount %s at %s (%s): %v", source, at, data, err)
	}
	detachAtEnd(t, at)
}

// Bindfs shows the directory from at at through FUSE, with a bindfs process that ends with the test, or
// with the mount. args are added to its command line. One that hangs goes on at the end.
func Bindfs(t testing.TB, from, at string, args ...string) *os.Process {
	t.Helper()
	RequireRoot(t)
	RequireTool(t, "bindfs", "bindfs")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	before := device(t, at)
	process := exec.Command("bindfs", append(append([]string{"-f"}, args...), from, at)...)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal("voltest: start bindfs:", err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	detachAtEnd(t, at)
	for deadline := time.Now().Add(10 * time.Second); device(t, at) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("voltest: bindfs did not mount %s at %s", from, at)
		}
	}
	t.Cleanup(func() { _ = process.Process.Signal(unix.SIGCONT) })
	return process.Process
}

// Hang has the file system hang that a process serves, until it is told to go on.
func Hang(t testing.TB, server *os.Process) (resume func()) {
	t.Helper()
	signal := func(s unix.Signal) {
		t.Helper()
		if err := server.Signal(s); err != nil {
			t.Fatal("voltest: signal the server:", err)
		}
	}
	signal(unix.SIGSTOP)
	return func() {
		t.Helper()
		signal(unix.SIGCONT)
	}
}

func device(t testing.TB, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal("voltest: stat:", err)
	}
	return stat.Dev
}
