package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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
type lock struct{ file *os.File }

// takeLock makes the directory and claims it. Another living process that has it is named.
func takeLock(dir string) (*lock, error) {
	refused := func(err error, hint string) error {
		return &weir.Error{Op: "use state directory", Kind: weir.KindRefused, Path: dir, Err: err, Hint: hint}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, refused(err, "name another with --state")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, refused(err, "")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, refused(fmt.Errorf("others may enter it (mode %04o)", info.Mode().Perm()), "chmod 700 it, if it is weir's")
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, refused(err, "")
	}
	if err := syslock.Try(file); err != nil {
		defer file.Close()
		if errors.Is(err, syslock.ErrHeld) {
			return nil, refused(fmt.Errorf("it is in use by process %s", holder(file)), "end that process, or name another directory with --state")
		}
		return nil, refused(err, "")
	}
	l := &lock{file}
	if err := l.write(os.Getpid()); err != nil {
		file.Close()
		return nil, refused(err, "")
	}
	return l, nil
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
