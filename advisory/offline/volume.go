// Package offline reads, of a Windows volume that is mounted and not running, what advisories are decided on. It writes
// nothing. What it reads may be damaged or hostile: no path leads out of the volume, nothing that is no regular file is read,
// and what is read is bounded.
package offline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// errTwins says that a name stands there twice, in upper and lower case, so that which is meant cannot be told.
var errTwins = errors.New("which of them is meant cannot be told")

// errAbsent says that there is no such file.
var errAbsent = errors.New("it is not there")

// volume is a mounted volume, in which names have no case. Nothing outside of it is reached through it.
type volume struct{ root *os.Root }

// real returns a path as the names in it are on the volume. Each is found without case.
func (v volume) real(name string) (string, error) { return v.realBelow(".", name) }

// realBelow is real for a path below a directory whose names are known.
func (v volume) realBelow(at, name string) (string, error) {
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		next, err := v.within(at, part)
		if err != nil {
			return "", err
		}
		at = path.Join(at, next)
	}
	return at, nil
}

// within finds a name in a directory.
func (v volume) within(dir, name string) (string, error) {
	var found []string
	err := v.names(dir, func(n string) {
		if strings.EqualFold(n, name) {
			found = append(found, n)
		}
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", errAbsent
	case len(found) > 1:
		return "", fmt.Errorf("%q and %q are both in %q, and %w", found[0], found[1], dir, errTwins)
	}
	return found[0], nil
}

// names calls visit with each name that is in a directory.
func (v volume) names(dir string, visit func(string)) error {
	d, err := v.open(dir, syscall.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, n := range names {
			visit(n)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return reason(err)
		}
	}
}

// open opens what has a path, whose names are those on the volume, and waits for nothing, as a FIFO would have it do.
func (v volume) open(name string, flags int) (*os.File, error) {
	f, err := v.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|flags, 0)
	return f, reason(err)
}

// file opens a regular file.
func (v volume) file(name string) (f *os.File, info fs.FileInfo, err error) {
	// A device may do something when it is opened, so it is looked at before, and again after.
	if info, err = v.root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is no regular file")
	}
	if f, err = v.open(name, 0); err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, nil, errors.Join(reason(err), errors.New("it is no regular file"))
	}
	return f, info, nil
}

// read reads a regular file that has no more bytes than that.
func (v volume) read(name string, most int64) ([]byte, fs.FileInfo, error) {
	f, info, err := v.file(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, nil, fmt.Errorf("it has %d bytes, and no file of a system is as large", info.Size())
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	return b, info, reason(err)
}

// reason returns an error of a file without its path.
func reason(err error) error {
	var e *fs.PathError
	if errors.Is(err, fs.ErrNotExist) {
		return errAbsent
	}
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
