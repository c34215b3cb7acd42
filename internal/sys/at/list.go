package at

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Entry is one name of a directory.
type Entry struct {
	Name string
	Type uint32 // type bits as in stat(2), 0 where the file system does not tell
}

// errEntry is an answer of the kernel that cannot be read.
var errEntry = errors.New("malformed directory entry")

// List reads the next entries of the directory into buf, which holds at least 4 KiB, and appends them to
// entries without "." and "..". It returns false at the end of the directory.
func List(dir int, buf []byte, entries []Entry) (_ []Entry, more bool, err error) {
	var n int
	err = uninterrupted(func() error {
		n, err = unix.Getdents(dir, buf)
		return err
	})
	if err != nil || n == 0 {
		return entries, false, err
	}
	entries, err = parse(buf[:n], entries)
	return entries, err == nil, err
}

// The layout of struct linux_dirent64, getdents64(2).
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

func parse(buf []byte, entries []Entry) ([]Entry, error) {
	for len(buf) > 0 {
		if len(buf) < direntName {
			return entries, errEntry
		}
		length := int(binary.NativeEndian.Uint16(buf[direntLength:]))
		if length <= direntName || length > len(buf) {
			return entries, errEntry
		}
		name, _, ok := bytes.Cut(buf[direntName:length], []byte{0})
		if !ok || len(name) == 0 {
			return entries, errEntry
		}
		if string(name) != "." && string(name) != ".." {
			// d_type is the type bits of the mode, shifted: IFTODT in <dirent.h>.
			entries = append(entries, Entry{string(name), uint32(buf[direntType]) << 12})
		}
		buf = buf[length:]
	}
	return entries, nil
}

// Readlink returns the text of the symbolic link with one name below dir. The error is EINVAL if the name
// leads to something else.
func Readlink(dir int, name string) (string, error) {
	// A text is shorter than PATH_MAX on every file system of Linux.
	buf := make([]byte, unix.PathMax)
	var length int
	err := uninterrupted(func() (err error) {
		length, err = unix.Readlinkat(dir, name, buf)
		return err
	})
	if err != nil {
		return "", err
	}
	if length == len(buf) {
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:length]), nil
}
