package vmtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// guestEnv is set on the kernel's command line, which hands what it does not know to the first process, and
// says in which of two processes of the guest the test binary runs.
const (
	guestEnv = "WEIR_VM_GUEST"
	asInit   = "init"
	asRunner = "runner"
)

// What the guest finds in its root, and what it prints for the host to read.
const (
	commandsFile = "/commands.json"
	modulesFile  = "/modules.json"
	weirFile     = "/bin/weir"
	ended        = "weir-vm: ended: " // and the exit status, a space, the name
	allEnded     = "weir-vm: all ended"
)

// command is one program that the guest runs.
type command struct {
	Name  string
	Args  []string
	Limit time.Duration
}

// bootGuest is the first process of the guest: it makes the machine usable, has a second process run what
// is to be run, adopts and buries orphans meanwhile, and ends the machine.
func bootGuest() {
	err := errors.Join(mountGuest(), loadModules())
	if err == nil {
		err = superviseRunner()
	}
	if err != nil {
		fmt.Println("weir-vm: boot:", err)
	}
	_ = os.Stdout.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {} // The kernel panics if its first process ends.
}

func mountGuest() error {
	for _, m := range []struct{ fs, at, data string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"tmpfs", "/tmp", ""},
		{"tmpfs", "/run", ""}, {"tmpfs", "/var/lib", ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fs, m.at, m.fs, 0, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// loadModules loads the kernel's modules in the order of the list.
func loadModules() error {
	var modules []string
	if err := readJSON(modulesFile, &modules); err != nil {
		return err
	}
	for _, path := range modules {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		file.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil
}

func readJSON(path string, value any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, value)
}

func superviseRunner() error {
	runner := exec.Command("/init")
	runner.Stdout, runner.Stderr = os.Stdout, os.Stderr
	runner.Env = []string{
		guestEnv + "=" + asRunner, "PATH=/bin:/sbin", "HOME=/tmp", "TMPDIR=/tmp", weirEnv + "=" + weirFile,
	}
	if err := runner.Start(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if pid == runner.Process.Pid {
			return nil
		}
	}
}

// runCommands runs one command after the other, whatever becomes of each.
func runCommands() {
	var commands []command
	if err := readJSON(commandsFile, &commands); err != nil {
		fmt.Println("weir-vm:", err)
		return
	}
	_ = os.Unsetenv(guestEnv)
	for _, c := range commands {
		fmt.Printf("\n== %s\n", c.Name)
		fmt.Printf("%s%d %s\n", ended, c.run(), c.Name)
	}
	fmt.Println(allEnded)
}

// run returns the exit status.
func (c command) run() int {
	process := exec.Command(c.Args[0], c.Args[1:]...)
	process.Stdout, process.Stderr = os.Stdout, os.Stderr
	process.Dir = "/tmp"
	if err := process.Start(); err != nil {
		fmt.Println(err)
		return 127
	}
	timer := time.AfterFunc(c.Limit, func() {
		fmt.Printf("weir-vm: %s has not ended within %v; processes:\n%s", c.Name, c.Limit, processes(c.Args[0]))
		_ = process.Process.Kill()
	})
	defer timer.Stop()
	_ = process.Wait()
	return process.ProcessState.ExitCode()
}

// processes shows where the kernel holds the threads of a program.
func processes(program string) string {
	var text bytes.Buffer
	dirs, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		if !bytes.HasPrefix(line, []byte(program+"\x00")) {
			continue
		}
		stack, _ := os.ReadFile(dir + "/stack")
		fmt.Fprintf(&text, "%s %s\n%s", dir, bytes.ReplaceAll(line, []byte{0}, []byte{' '}), stack)
	}
	return text.String()
}
