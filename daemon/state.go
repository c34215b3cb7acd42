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
	bare bool     // whether there was nothing in it
}

// takeLock makes the directory and claims it for a process. Another living process that has it is named.
func takeLock(dir string, pid int) (*lock, error) {
	refused := func(err error, hint string) error {
		hint = cmp.Or(hint, "see to its file system, or name another with --state")
		return &weir.Error{Op: "use state directory", Kind: weir.KindRefused, Path: dir, Err: err, Hint: hint}
	}
	l := &lock{dir: dir, made: missing(dir)}
	l.bare = len(l.made) > 0
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errors.Join(refused(err, "name another with --state"), l.discard())
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, refused(err, "")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, refused(fmt.Errorf("others may enter it (mode %04o)", info.Mode().Perm()), "chmod 700 it, if it is weir's")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, refused(err, "")
	}
	l.bare = len(entries) == 0
	// On a file system that is frozen a write hangs, and must not do so with the lock, which the next start needs.
	if err := os.Chtimes(dir, time.Time{}, time.Now()); err != nil {
		return nil, refused(err, "name another with --state")
	}
	if l.file, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600); err != nil {
		return nil, refused(err, "")
	}
	if err := syslock.Try(l.file); err != nil {
		defer l.release()
		if errors.Is(err, syslock.ErrHeld) {
			return nil, refused(fmt.Errorf("it is in use by process %s", holder(l.file)), "end that process, or name another directory with --state")
		}
		return nil, refused(err, "")
	}
	if !l.stands() { // Another process was refused, and has removed what it had made.
		l.release()
		return takeLock(dir, pid)
	}
	if err := l.write(pid); err != nil {
		return nil, errors.Join(refused(err, ""), l.discard(), l.release())
	}
	return l, nil
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
func (l *lock) stands() bool {
	locked, err := l.file.Stat()
	found, foundErr := os.Lstat(l.file.Name())
	return err == nil && foundErr == nil && os.SameFile(locked, found)
}

// discard removes what was made, if there was nothing before. The caller has the lock yet.
func (l *lock) discard() error {
	if l == nil || !l.bare {
		return nil
	}
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(l.dir, e.Name())))
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
