package mount

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errMalformed = errors.New("malformed line of mountinfo")

// ParseMountinfo reads the text of /proc/PID/mountinfo (proc_pid_mountinfo(5)). Mounts come in the
// kernel's order: that in which they were attached (before Linux 6.8) or made (since).
func ParseMountinfo(text []byte) ([]Entry, error) {
	entries := make([]Entry, 0, bytes.Count(text, []byte{'\n'}))
	for line := range strings.Lines(string(text)) {
		entry, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%w: %q", err, line)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// parseLine reads one line: id, parent, device, root, point, options, any number of tags, "-", type,
// source, options of the superblock. A source may be empty, and the kernel then leaves two spaces.
func parseLine(line string) (Entry, error) {
	before, after, found := strings.Cut(line, " - ")
	head := strings.Split(before, " ")
	tail := strings.SplitN(after, " ", 3)
	if !found || len(head) < 6 || len(tail) < 3 {
		return Entry{}, errMalformed
	}
	id, err1 := strconv.ParseUint(head[0], 10, 32)
	parent, err2 := strconv.ParseUint(head[1], 10, 32)
	device, err3 := parseDevice(head[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return Entry{}, errMalformed
	}
	return Entry{
		ID:            id,
		ParentID:      parent,
		Device:        device,
		Root:          Unescape(head[3]),
		Point:         Unescape(head[4]),
		FSType:        Unescape(tail[0]),
		Source:        Unescape(tail[1]),
		Options:       head[5],
		SuperOptions:  tail[2],
		ReadOnly:      hasOption(head[5], "ro"),
		SuperReadOnly: hasOption(tail[2], "ro"),
	}, nil
}

func parseDevice(s string) (Device, error) {
	major, minor, _ := strings.Cut(s, ":")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	return MakeDevice(uint32(a), uint32(b)), errors.Join(err1, err2)
}

func hasOption(options, name string) bool {
	first, _, _ := strings.Cut(options, ",")
	return first == name // the kernel prints rw or ro first
}

// Unescape undoes the octal escapes (\040 for a space) in which mountinfo writes space, tab, newline,
// backslash and hash. What is no escape stays as it is.
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
