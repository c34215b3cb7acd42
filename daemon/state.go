package daemon

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	syslock "github.com/weirfs/weir/internal/sys/lock"
	"github.com/weirfs/weir/tree"
)

// StateRoot is where state directories are unless the user says otherwise.
const StateRoot = "/var/lib/weir"

// StateDir returns the default state directory of a source and its targets: two mirrors never share one.
// The order of the targets does not matter.
func StateDir(source string, targets []string) string {
	h := sha256.New()
	io.WriteString(h, source)
	for _, t := range sorted(targets) {
		io.WriteString(h, "\x00"+t)
	}
	return filepath.Join(StateRoot, "mirror-"+hex.EncodeToString(h.Sum(nil)[:8]))
}

// lock is the claim to a state directory. It ends with the process that holds it.
type lock struct {
	file *os.File // nil once it is released
	dir  string
	made []string // directories that were made for it, the innermost first
	bare bool     // whether there was nothing in it when it was locked
}

const lockFile = "lock"

// takeLock makes the directory and claims it for a process. Another living process that has it is named.
func takeLock(dir string, pid int) (*lock, error) {
	l := &lock{dir: dir}
	err := l.take()
	for errors.Is(err, errRemoved) {
		err = l.take()
	}
	if err == nil {
		err = l.claim(pid)
	}
	if err != nil {
		return nil, errors.Join(err, l.discard(), l.release())
	}
	return l, nil
}

// errRemoved says that another process was refused, and has removed what it had made.
var errRemoved = errors.New("the directory was removed while it was locked")

// take makes the directory, and takes its lock.
func (l *lock) take() error {
	switch err := checkDir(l.dir); {
	case errors.Is(err, fs.ErrNotExist):
		l.made = missing(l.dir)
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return noState(l.dir, err, "name another with --state")
		}
	case err != nil:
		return err
	}
	// On a file system that is frozen a write hangs, and must not do so with the lock, which the next start needs.
	err := os.Chtimes(l.dir, time.Time{}, time.Now())
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(filepath.Join(l.dir, lockFile), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errRemoved
	case err != nil:
		return noState(l.dir, err, "")
	}
	if err := lockState(l.dir, file); err != nil {
		return errors.Join(err, file.Close())
	}
	if !stands(file) {
		return errors.Join(errRemoved, file.Close())
	}
	l.file = file
	return nil
}

// claim writes down who has the lock, and notes whether anybody has had it before.
func (l *lock) claim(pid int) error {
	if err := checkFiles(l.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return noState(l.dir, err, "")
	}
	l.bare = len(entries) == 1
	if err := l.write(pid); err != nil {
		return noState(l.dir, err, "")
	}
	return nil
}

// noState refuses a state directory.
func noState(dir string, err error, hint string) error {
	hint = cmp.Or(hint, "see to its file system, or name another with --state")
	return &weir.Error{Op: "use state directory", Kind: weir.KindRefused, Path: dir, Err: err, Hint: hint}
}

// stateFails says what helps where a file of a state directory that is known cannot be read or written, unless the error does.
func stateFails(dir string, err error) error {
	var e *weir.Error
	if errors.As(err, &e) {
		return err
	}
	hint := "see to its file system"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		hint = "free some room there"
	}
	return &weir.Error{Op: "use state directory", Path: dir, Err: err, Hint: hint + ", and start again"}
}

// checkDir refuses what is no directory of one's own.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return noState(dir, err, "")
	case !info.IsDir():
		return noState(dir, errors.New("it is not a directory"), "name another with --state")
	case info.Mode().Perm()&0o077 != 0:
		return noState(dir, fmt.Errorf("others may enter it (mode %04o)", info.Mode().Perm()), "chmod 700 it, if it is weir's")
	}
	return checkOwner(dir)
}

// checkOwner refuses a directory in which others keep something, and weir nothing yet.
func checkOwner(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return noState(dir, err, "")
	}
	foreign := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == indexDir, name == engineFile:
			return nil
		case name == lockFile, name == tree.LostFound: // A weir that was refused a moment ago has made the lock alone.
		case e.Type()&(fs.ModeNamedPipe|fs.ModeDevice) != 0: // That is refused whatever its name is.
		default:
			foreign = name
		}
	}
	if foreign == "" {
		return nil
	}
	return noState(dir, errors.New("it holds data that weir did not make, such as "+weir.QuotePath(foreign)), "name an empty directory, or one that does not exist yet, with --state")
}

// checkFiles refuses a directory in which something stands that whoever opens it may wait at for ever.
func checkFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return noState(dir, err, "")
		}
		mode := e.Type()
		if info, err := os.Stat(path); mode&fs.ModeSymlink != 0 && err == nil {
			mode = info.Mode()
		}
		if mode&(fs.ModeNamedPipe|fs.ModeDevice) != 0 {
			rel, _ := filepath.Rel(dir, path)
			return noState(dir, fmt.Errorf("%s in it is a named pipe or a device", weir.QuotePath(rel)), "move that away, or name another directory with --state")
		}
		return nil
	})
}

// lockState locks the file of a state directory, or names who has it.
func lockState(dir string, file *os.File) error {
	err := syslock.Try(file)
	switch {
	case errors.Is(err, syslock.ErrHeld):
		return noState(dir, fmt.Errorf("it is in use by process %s", holder(file)), "end that process, or name another directory with --state")
	case err != nil:
		return noState(dir, err, "")
	}
	return nil
}

// missing lists what has to be made so that there is a directory, the innermost first.
func missing(dir string) (list []string) {
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return list
		}
		list = append(list, dir)
		dir = filepath.Dir(dir)
	}
}

// stands reports whether the file that is locked is the one that others find.
func stands(file *os.File) bool {
	locked, err := file.Stat()
	found, foundErr := os.Lstat(file.Name())
	return err == nil && foundErr == nil && os.SameFile(locked, found)
}

// discard removes what was made, and what is in the directory if that was bare. The caller has the lock yet, or never had.
func (l *lock) discard() (err error) {
	if l == nil {
		return nil
	}
	if l.bare {
		var entries []os.DirEntry
		entries, err = os.ReadDir(l.dir)
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(l.dir, e.Name())))
		}
	}
	for _, dir := range l.made {
		_ = os.Remove(dir) // Unless another mirror keeps its state there, too.
	}
	return err
}

func holder(file *os.File) string {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0)
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return pid
	}
	return "unknown"
}

func (l *lock) write(pid int) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendf(nil, "%d\n", pid), 0)
	return err
}

// release ends the claim. It may be called twice, and on nil.
func (l *lock) release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
