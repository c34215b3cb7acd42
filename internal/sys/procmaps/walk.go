package procmaps

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/sys/mount"
)

// Mapping is a part of a process's memory that shows a file, shared and writable.
type Mapping struct {
	Task       string // its number: the process's, or that of a thread where the first thread has ended
	Start, End uint64 // addresses
	Device     mount.Device
}

// Shared calls visit for each mapping of each process that the caller can see, in no particular order, while
// visit's error is nil. Processes that end or that refuse to be looked at are passed over. It takes about 10 µs
// for a process.
func Shared(visit func(Mapping) error) error { return shared(visit, false) }

// shared is Shared, if asked to by the text alone.
func shared(visit func(Mapping) error, text bool) error {
	proc, err := os.Open("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	names, err := proc.Readdirnames(-1)
	_ = proc.Close()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	l := lister{visit: visit, text: text}
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if err := l.process(name); err != nil {
			return err
		}
	}
	return nil
}

// lister is one walk through the processes.
type lister struct {
	visit func(Mapping) error
	text  bool // parse, since the kernel cannot be asked
	buf   []byte
}

// process lists the mappings of one process. Its threads share them, but the first may have ended.
func (l *lister) process(pid string) error {
	empty, err := l.task(pid)
	if err != nil || !empty || threads(pid) < 2 {
		return err
	}
	tasks, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil {
		return nil // It has ended.
	}
	for _, task := range tasks {
		// A thread has a directory of its own below /proc, with map_files, that no listing shows.
		if empty, err = l.task(task.Name()); err != nil || !empty {
			return err
		}
	}
	return nil
}

// threads returns how many threads a process has, by the links of the directory that lists them.
func threads(pid string) int {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+pid+"/task", &st); err != nil {
		return 0
	}
	return int(st.Nlink) - 2
}

// task lists the mappings of one task. empty means that it has no memory: it is the kernel's, or has ended.
func (l *lister) task(name string) (empty bool, err error) {
	n, err := unix.Open("/proc/"+name+"/maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH), nil
	}
	defer unix.Close(n)
	if !l.text {
		empty, err = l.ask(n, name)
		if err != unix.ENOTTY {
			return empty, err
		}
		l.text = true
	}
	return l.read(n, name)
}

// ask lists the mappings by queries. The error is visit's, or ENOTTY.
func (l *lister) ask(maps int, task string) (empty bool, err error) {
	for address := uint64(0); ; {
		m, err := next(maps, address)
		switch {
		case err == unix.ENOTTY || err == unix.EINVAL:
			return false, unix.ENOTTY
		case err != nil:
			return err == unix.ESRCH, nil
		case m.End <= address:
			return false, nil // No kernel says so; it would be asked for ever.
		}
		m.Task, address = task, m.End
		if err := l.visit(m); err != nil {
			return false, err
		}
	}
}

const readSize = 64 << 10

// read lists the mappings by the text. The kernel never breaks a line between two reads.
func (l *lister) read(maps int, task string) (empty bool, err error) {
	if l.buf == nil {
		l.buf = make([]byte, readSize)
	}
	empty = true
	for {
		n, err := unix.Read(maps, l.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return empty, nil
		}
		empty = false
		if err := l.lines(l.buf[:n], task); err != nil {
			return false, err
		}
	}
}

func (l *lister) lines(text []byte, task string) error {
	for line := range bytes.Lines(text) {
		m, wanted := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if !wanted {
			continue
		}
		m.Task = task
		if err := l.visit(m); err != nil {
			return err
		}
	}
	return nil
}

// Handle returns the handle of the mapped file, in the form of package handle. The error is ENOENT if the
// mapping has gone; what stands at its addresses by then may be another file of another device.
func (m Mapping) Handle() (string, error) {
	return handle.OfPath("/proc/" + m.Task + "/map_files/" + strconv.FormatUint(m.Start, 16) + "-" + strconv.FormatUint(m.End, 16))
}
