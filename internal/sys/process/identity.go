package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Identity is one process for good: process ids are used again, start times (clock ticks since the machine was
// started) are not with the same id, and a boot has an id of its own.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// Self returns the identity of the calling process.
func Self() (Identity, error) {
	boot, err := bootID()
	if err != nil {
		return Identity{}, err
	}
	s, err := readStat("/proc/self/stat")
	return Identity{PID: os.Getpid(), Start: s.start, Boot: boot}, err
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the id of this boot: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Name returns what a process calls itself, of at most 15 bytes, which it chooses by itself; "" if it has gone. See comm in
// proc_pid_comm(5).
func Name(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

// State says what is left of a process.
type State uint8

const (
	// Gone: it has ended, also if nobody has asked for its exit status yet.
	Gone State = iota
	// Running: it can still do things.
	Running
	// Dying: it has been killed, and its last threads have not woken yet to notice.
	Dying
)

// State looks at the process now.
func (id Identity) State() State {
	if boot, err := bootID(); err != nil || boot != id.Boot {
		return Gone
	}
	dir := fmt.Sprintf("/proc/%d", id.PID)
	if s, err := readStat(dir + "/stat"); err != nil || s.start != id.Start {
		return Gone
	}
	threads, err := filepath.Glob(dir + "/task/*")
	if err != nil {
		return Running
	}
	state := Gone
	for _, thread := range threads {
		state = later(state, threadState(thread))
	}
	return state
}

// later returns the one that is farther from the end.
func later(a, b State) State {
	if a == Running || b == Running {
		return Running
	}
	return max(a, b)
}

func threadState(dir string) State {
	s, err := readStat(dir + "/stat")
	switch {
	case err != nil, s.state == 'Z', s.state == 'X':
		return Gone
	case killed(dir + "/status"):
		return Dying
	}
	return Running
}

// stat is what is read of proc_pid_stat(5).
type stat struct {
	state byte
	start uint64
}

var errStat = errors.New("it is not as proc_pid_stat(5) says")

func readStat(path string) (stat, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	// The name in parentheses may hold anything.
	_, rest, found := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	const stateField, startField = 0, 19 // numbers 3 and 22 of proc(5): these are the fields behind the name
	if !found || len(fields) <= startField {
		return stat{}, fmt.Errorf("read %s: %w", path, errStat)
	}
	start, err := strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("read %s: %w", path, errStat)
	}
	return stat{fields[stateField][0], start}, nil
}

// killed reports whether SIGKILL waits for a thread: exit_group(2) and kill(2) put it into each thread's own set.
func killed(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return true // It has ended meanwhile.
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		const sigkill = 1 << (9 - 1)
		if set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err == nil && set&sigkill != 0 {
			return true
		}
	}
	return false
}
