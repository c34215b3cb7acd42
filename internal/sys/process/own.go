package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// LetGo points every descriptor of the process at /dev/null, so that a thread that hangs in the kernel keeps no file
// open after the process has been killed. No number becomes free, so that goroutines that still run write nowhere
// else. Only who ends the process right after it may call it. It may itself hang, at a file of a frozen file system.
func LetGo() error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	errs := []error{err}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil || n == null || ofRuntime(n) {
			continue
		}
		errs = append(errs, unix.Dup3(null, n, unix.O_CLOEXEC))
	}
	return errors.Join(errs...)
}

// ofRuntime reports whether Go's scheduler waits on the descriptor; it ends the process when that fails.
func ofRuntime(n int) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(n))
	return err == nil && (name == "anon_inode:[eventpoll]" || name == "anon_inode:[eventfd]")
}

// Idle gives the calling thread, and what it starts from now on, the idle class of ioprio_set(2).
func Idle() error {
	const whoProcess, idleClass = 1, 3 << 13
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, idleClass); errno != 0 {
		return fmt.Errorf("set idle I/O priority: %w", errno)
	}
	return nil
}
