package voltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runDirEnv names the directory of one run of a test binary; it is set in the unshared child only.
const runDirEnv = "WEIR_VOLTEST_RUN"

// Unshared runs the tests of m in a private mount namespace and returns the exit status. As root it runs
// the test binary again, since a Go process cannot leave a namespace it was born in with all its
// threads, and stays behind to kill what the tests left running, to free their loop devices and to remove
// their files. Without root it runs m as it is.
func Unshared(m interface{ Run() int }) int {
	if os.Geteuid() != 0 || os.Getenv(runDirEnv) != "" {
		return m.Run()
	}
	status, err := runUnshared()
	if err != nil {
		fmt.Fprintln(os.Stderr, "voltest:", err)
		return 1
	}
	return status
}

func runUnshared() (int, error) {
	dir, err := os.MkdirTemp("", "weir-voltest-")
	if err != nil {
		return 0, err
	}
	// The parent-death signal is bound to the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("become subreaper: %w", err)
	}
	status, err := runChild(dir)
	return status, errors.Join(err, killOrphans(), freeLoops(dir), os.RemoveAll(dir))
}

func runChild(dir string) (int, error) {
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), runDirEnv+"="+dir, "TMPDIR="+dir)
	// Unshareflags, unlike Cloneflags, also makes every mount private.
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return 0, fmt.Errorf("unshare the mount namespace: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = child.Process.Signal(s)
			case <-done:
				return
			}
		}
	}()

	var exit *exec.ExitError
	if err := child.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if ws, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return child.ProcessState.ExitCode(), nil
}

// killOrphans kills and reaps what the tests started and left: as subreaper, this process has become
// the parent of it. A killed process hands its own children over, hence the loop.
func killOrphans() error {
	for range 1000 {
		var status unix.WaitStatus
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if _, err := unix.Wait4(-1, &status, 0, nil); errors.Is(err, unix.ECHILD) {
			return nil
		}
	}
	return errors.New("processes that the tests left do not end")
}

// children lists the processes whose parent is this one.
func children() []int {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	var pids []int
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
