package vmtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// emulator is the only one that is used: with KVM the machine would depend on what it is built on, and in
// a virtual machine that lends no KVM it hangs.
const emulator = "qemu-system-x86_64"

// guest is a machine in the making.
type guest struct {
	kernel  kernel
	archive *archive
	initrd  string
}

// newGuest makes a machine that has this package's test binary as its first process, modules for the file
// systems that tests use, and programs that make them.
func newGuest(t *testing.T) *guest {
	t.Helper()
	voltest.RequireTool(t, emulator, "qemu-system-x86")
	g := &guest{kernel: findKernel(t), initrd: filepath.Join(t.TempDir(), "initrd")}
	g.archive = newArchive(t, g.initrd)
	var modules []string
	for _, path := range g.kernel.inOrder(t, "loop", "xfs", "btrfs", "overlay", "fuse") {
		inside := "/lib/modules/" + filepath.Base(path)
		g.archive.program(inside, path)
		modules = append(modules, inside)
	}
	g.json(t, modulesFile, modules)
	for _, tool := range []struct{ name, origin string }{
		{"mkfs.ext4", "e2fsprogs"}, {"mkfs.xfs", "xfsprogs"}, {"mkfs.btrfs", "btrfs-progs"},
		{"btrfs", "btrfs-progs"}, {"cp", "coreutils"}, {"sleep", "coreutils"}, {"blkid", "util-linux"},
	} {
		voltest.RequireTool(t, tool.name, tool.origin)
		g.tool(t, tool.name)
	}
	g.archive.program("/init", goTest(t, "internal/vmtest"))
	return g
}

func (g *guest) json(t *testing.T, path string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	g.archive.data(path, string(text))
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// tool adds a program of the host, and the libraries that ldd(1) names, where they are on the host.
func (g *guest) tool(t *testing.T, name string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", path, err)
	}
	for _, match := range library.FindAllStringSubmatch(string(out), -1) {
		g.archive.program(match[1], match[1])
	}
	g.archive.program("/bin/"+name, path)
}

// goTest builds the test binary of a package of this module, without cgo, so that it needs no library.
func goTest(t *testing.T, pkg string) string {
	t.Helper()
	return goTool(t, "test", "-c", pkg)
}

func goBuild(t *testing.T, pkg string) string {
	t.Helper()
	return goTool(t, "build", "-trimpath", pkg)
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	voltest.RequireTool(t, "go", "Go 1.26")
	pkg := args[len(args)-1]
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	args = append(args[:len(args)-1:len(args)-1], "-buildvcs=false", "-o", path, "./"+pkg)
	build := exec.Command("go", args...)
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	return path
}

// run boots the machine, waits until it has run the commands, and returns what it printed. The machine is
// killed after limit, or with the process of the test.
func (g *guest) run(t *testing.T, limit time.Duration, commands ...command) string {
	t.Helper()
	g.json(t, commandsFile, commands)
	g.archive.close()
	var console bytes.Buffer
	machine := exec.Command(emulator, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2048", "-no-reboot",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", g.kernel.image, "-initrd", g.initrd,
		"-append", "console=ttyS0 quiet panic=-1 "+guestEnv+"="+asInit)
	machine.Stdout = io.MultiWriter(&console, t.Output())
	machine.Stderr = machine.Stdout
	machine.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The signal is bound to the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := time.Now()
	if err := machine.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = machine.Process.Kill() })
	err := machine.Wait()
	out := strings.ReplaceAll(console.String(), "\r", "")
	if !timer.Stop() {
		err = errors.New("it has not ended within " + limit.String())
	}
	if err != nil {
		t.Fatalf("the machine: %v", err)
	}
	t.Logf("the machine, with %s, took %v", g.kernel.release, time.Since(begun).Round(time.Second))
	return out
}
