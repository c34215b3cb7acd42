package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	syslock "github.com/weirfs/weir/internal/sys/lock"
	"github.com/weirfs/weir/internal/sys/process"
	"github.com/weirfs/weir/volume"
)

// engineEnv tells a process that it is the engine of a supervisor, by the supervisor's process id.
const engineEnv = "WEIR_ENGINE"

// reportFD is where an engine tells its supervisor how it ends, a report in each line: which targets are behind yet, by
// number, and as the last one its exit status.
const (
	reportFD     = 3
	reportBehind = "behind"
	reportExit   = "exit"
)

// lockFD is the socket over which an engine has its supervisor claim the targets, and passes on the lock that it has taken.
const lockFD = 4

// Engine is this process as the engine of a supervisor. Nil is a process that is none.
type Engine struct{ supervisor int }

// AsEngine returns nil if this process is none: nobody has started it as one, or somebody else than its parent.
func AsEngine() *Engine {
	parent := os.Getppid()
	if os.Getenv(engineEnv) != fmt.Sprint(parent) {
		return nil
	}
	return &Engine{parent}
}

// claim has the supervisor claim the targets. Without one they are not claimed.
func (e *Engine) claim(w *volume.Watcher, targets []string) error {
	if e == nil {
		return nil
	}
	return reserve(w, targets, func(at int64, shared bool) (int, error) { return syslock.Ask(lockFD, at, shared) })
}

// claimant is the process that keeps the lock.
func (e *Engine) claimant() int {
	if e == nil {
		return os.Getpid()
	}
	return e.supervisor
}

// handOver has the supervisor keep the lock from now on, and not this process.
func (e *Engine) handOver(l *lock) error {
	if e == nil {
		return nil
	}
	socket := os.NewFile(lockFD, "locks")
	defer socket.Close()
	return errors.Join(syslock.Send(socket, l.file), l.release())
}

// behind tells the supervisor which targets are behind, so that it can name them if it has to end this process.
func (e *Engine) behind(targets []int) {
	if e == nil {
		return
	}
	e.report(reportBehind + " " + strings.Trim(fmt.Sprint(targets), "[]"))
}

// report opens the descriptor anew each time, since who wraps a descriptor closes it. Without a supervisor nobody asks.
func (e *Engine) report(line string) {
	pipe, err := os.OpenFile(fmt.Sprint("/proc/self/fd/", reportFD), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer pipe.Close()
	_, _ = pipe.WriteString(line + "\n")
}

// letGoPatience bounds how long an engine that ends waits for its own descriptors.
const letGoPatience = 100 * time.Millisecond

// Exit ends the process. An engine tells its supervisor first, which then need not wait for it: a thread that
// hangs in the kernel keeps a process, and all that it has open, although it has ended. So an engine also lets go
// of everything, above all of its queues of events.
func (e *Engine) Exit(status int) {
	if e != nil {
		e.report(fmt.Sprint(reportExit, " ", status))
		let := make(chan struct{})
		go func() {
			_ = process.LetGo()
			close(let)
		}()
		select {
		case <-let:
		case <-time.After(letGoPatience):
		}
	}
	os.Exit(status)
}
