package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// family lists a process and its descendants: weir does its work in a child, and lsyncd has rsync do it.
func family(pid int) []int {
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i]))
		for _, file := range children {
			text, _ := os.ReadFile(file) // a thread may have ended meanwhile
			for _, field := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(field); err == nil {
					list = append(list, child)
				}
			}
		}
	}
	return list
}

// pids are the program's processes that live now, the one that was started first.
func (f *follower) pids() []int { return family(f.process.Process.Pid) }

// cpu is how much processor time the program has used, with its children of before and now.
func (f *follower) cpu() (time.Duration, error) {
	total := time.Duration(0)
	for _, pid := range f.pids() {
		used, err := cpuOf(pid)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		total += used
	}
	return total, nil
}

func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// proc_pid_stat(5): utime, stime, cutime and cstime are the 14th to the 17th field; the second may hold
	// anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	ticks := int64(0)
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100
}

// memory is what a process has resident, in bytes: all of it, and without what is mapped from files.
type memory struct{ resident, anonymous int64 }

func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		field := map[string]*int64{"VmRSS": &m.resident, "RssAnon": &m.anonymous}[name]
		if field == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		if err != nil {
			return m, err
		}
		*field = kib * 1024
	}
	return m, nil
}

// memories is a sum over the program's processes, and what each of them has.
func (f *follower) memories() (string, error) {
	var sum memory
	var each []string
	for _, pid := range f.pids() {
		m, err := memoryOf(pid)
		if err != nil {
			return "", err
		}
		sum.resident, sum.anonymous = sum.resident+m.resident, sum.anonymous+m.anonymous
		each = append(each, strconv.FormatInt(m.resident>>20, 10))
	}
	return fmt.Sprintf("%d MiB resident (processes: %s), %d MiB of it anonymous",
		sum.resident>>20, strings.Join(each, " + "), sum.anonymous>>20), nil
}

// watches counts what the program has asked the kernel to watch: fanotify marks and inotify watches.
func (f *follower) watches() int {
	count := 0
	for _, pid := range f.pids() {
		infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
		for _, info := range infos {
			text, _ := os.ReadFile(info) // a descriptor may be closed meanwhile
			for line := range strings.Lines(string(text)) {
				isMark := strings.HasPrefix(line, "fanotify ") && !strings.HasPrefix(line, "fanotify flags:")
				if isMark || strings.HasPrefix(line, "inotify ") {
					count++
				}
			}
		}
	}
	return count
}
