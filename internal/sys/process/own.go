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

// Rename gives the process the name under which others list it, of which the kernel keeps 15 bytes.
func Rename(name string) error {
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return fmt.Errorf("name the process: %w", err)
	}
	return nil
}

// Classes of ioprio_set(2), which are those of single threads.
const (
	ioThread = 1
	ioNormal = 0
	ioIdle   = 3 << 13
)

// Idle gives the calling thread, and what it starts from now on, the idle class of I/O.
func Idle() error {
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioThread, 0, ioIdle); errno != 0 {
		return fmt.Errorf("set idle I/O priority: %w", errno)
	}
	return nil
}

// Normal gives every thread of this process the normal class of I/O again. A thread that an idle one starts
// meanwhile is met in another round.
func Normal() error {
	for left := 1; left > 0; {
		left = 0
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				continue
			}
			class, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioThread, uintptr(tid), 0)
			if errno != 0 || class != ioIdle {
				continue // It has ended, or is normal.
			}
			left++
			if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioThread, uintptr(tid), ioNormal); errno != 0 && errno != unix.ESRCH {
				return fmt.Errorf("set normal I/O priority: %w", errno)
			}
		}
	}
	return nil
}
