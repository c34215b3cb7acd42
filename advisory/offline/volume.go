// Package offline reads, of a Windows volume that is mounted and not running, what advisories are decided on. It writes
// nothing. What it reads may be damaged or hostile: no path leads out of the volume, nothing that is no regular file is read,
// and what is read is bounded.
package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode"
)

// errTwins says that a name stands there twice, in upper and lower case, so that which is meant cannot be told.
var errTwins = errors.New("which of them is meant cannot be told")

// errAbsent says that there is no such file.
var errAbsent = errors.New("it is not there")

// remedied is an error with what is to be done about it.
type remedied struct {
	error
	hint string
}

func (r remedied) Unwrap() error { return r.error }

// hintOf returns what is to be done about an error, or nothing if it does not say.
func hintOf(err error) string {
	var r remedied
	errors.As(err, &r)
	return r.hint
}

// volume is a mounted volume, in which names have no case. Nothing outside of it is reached through it.
type volume struct {
	root *os.Root

	listed map[string]map[string][]string // the names in directories that have been listed, by what they are compared by
	room   int                            // for how many more
}

// maxListed is how many names are kept: those of a volume's system, and a bound where a directory has been made to be large.
const maxListed = 1 << 18

// lower returns a name as it is compared. File systems of Windows fold no character that is not of ASCII into one that is.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); r < unicode.MaxASCII || l > unicode.MaxASCII {
			return l
		}
		return r
	}, name)
}

// real returns a path as the names in it are on the volume. Each is found without case.
func (v *volume) real(name string) (string, error) { return v.realBelow(".", name) }

// realBelow is real for a path below a directory whose names are known.
func (v *volume) realBelow(at, name string) (string, error) {
	err := v.walk(at, name, func(next, _ string) bool { at = next; return true })
	if err != nil {
		return "", err
	}
	return at, nil
}

// walk calls visit with each step of a path below a directory, as its names are on the volume, and with what is left of it, until
// that returns false.
func (v *volume) walk(at, name string, visit func(at, left string) bool) error {
	for left := path.Clean(name); left != "." && left != ""; {
		var part string
		part, left, _ = strings.Cut(left, "/")
		next, err := v.within(at, part)
		if err != nil {
			return v.linked(at, err)
		}
		if at = path.Join(at, next); !visit(at, left) {
			break
		}
	}
	return nil
}

// within finds a name in a directory.
func (v *volume) within(dir, name string) (string, error) {
	found, err := v.called(dir, lower(name))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", errAbsent
	case len(found) > 1:
		err = fmt.Errorf("%q and %q are both in %q, and %w", found[0], found[1], dir, errTwins)
		return "", remedied{err, "rename the one of the two that is not meant, and check again"}
	}
	return found[0], nil
}

// called returns the names in a directory that are compared by the one that is given.
func (v *volume) called(dir, lowered string) (found []string, err error) {
	if all, known := v.listed[dir]; known {
		return all[lowered], nil
	}
	all := map[string][]string{}
	err = v.names(dir, func(n string) {
		key := lower(n)
		if key == lowered {
			found = append(found, n)
		}
		if v.room--; v.room >= 0 {
			all[key] = append(all[key], n)
		}
	})
	if err == nil && v.room >= 0 {
		v.listed[dir] = all
	}
	return found, err
}

// linked says of an error of a file or a directory that it is a link, if it is.
func (v *volume) linked(name string, err error) error {
	to, failed := v.root.Readlink(name)
	if failed != nil {
		return err
	}
	return remedied{
		fmt.Errorf("%q is a link to %q, which leads nowhere below the directory that was named: %w", name, to, err),
		"put a copy of what it leads to in its place, or name the directory that the volume with all of it is mounted at, and check again",
	}
}

// names calls visit with each name that is in a directory.
func (v *volume) names(dir string, visit func(string)) error {
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
func (v *volume) open(name string, flags int) (*os.File, error) {
	f, err := v.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|flags, 0)
	return f, reason(err)
}

// file opens a regular file.
func (v *volume) file(name string) (f *os.File, info fs.FileInfo, err error) {
	// A device may do something when it is opened, so it is looked at before, and again after.
	if info, err = v.root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is no regular file")
	}
	if f, err = v.open(name, 0); err != nil {
		return nil, nil, v.linked(name, err)
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, nil, errors.Join(reason(err), errors.New("it is no regular file"))
	}
	return f, info, nil
}

// read reads a regular file that has no more bytes than that.
func (v *volume) read(name string, most int64) ([]byte, fs.FileInfo, error) {
	f, info, err := v.file(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, nil, fmt.Errorf("it has %d bytes, and no file of a system is as large", info.Size())
	}
	b := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead)) // One that grows by itself takes several times as much.
	_, err = b.ReadFrom(io.LimitReader(f, most))
	return b.Bytes(), info, reason(err)
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
