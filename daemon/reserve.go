package daemon

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weirfs/weir"
	syslock "github.com/weirfs/weir/internal/sys/lock"
	"github.com/weirfs/weir/volume"
)

// targetsFile is where processes claim the targets that they write to. It is empty: a byte of it, by a digest of its
// name, stands for each directory. So nothing is left of a claim whose process has ended, in whatever way, and nothing
// is kept open on a target.
const targetsFile = "/run/weir/targets"

// openTargets opens the file in which targets are claimed. A claim ends with the process, or when that closes the file.
func openTargets() (*os.File, error) {
	err := os.MkdirAll(filepath.Dir(targetsFile), 0o755)
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(targetsFile, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, &weir.Error{Op: "claim the targets", Kind: weir.KindRefused, Err: err, Hint: claimHint(err)}
	}
	return file, nil
}

// claimHint says what helps where the file cannot be opened.
func claimHint(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "run weir as root; weir doctor says what it needs"
	}
	return "make /run a file system that can be written"
}

// mayReserve refuses what reserve would refuse, claims nothing and makes no file.
func mayReserve(w *volume.Watcher, targets []string) error {
	file, err := os.Open(targetsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Nobody has claimed anything since the machine was started.
	}
	if err != nil {
		return &weir.Error{Op: "look who has claimed the targets", Kind: weir.KindRefused, Err: err, Hint: claimHint(err)}
	}
	defer file.Close()
	return reserve(w, targets, func(at int64, shared bool) (int, error) { return syslock.ByteFree(file, at, shared) })
}

// lockByte claims a byte, or asks for it.
type lockByte func(at int64, shared bool) (holder int, err error)

// reserve claims the targets. One is refused that another process writes to, whatever its state directory is, or that lies
// in or around such a one.
func reserve(w *volume.Watcher, targets []string, lock lockByte) error {
	for _, t := range targets {
		for _, name := range treesOf(w, t) {
			if err := lockTree(t, name, lock); err != nil {
				return err
			}
		}
	}
	return nil
}

// dirName is a directory by one of its names: below root, which is no path but tells names of different kinds apart.
type dirName struct{ root, path string }

// treesOf names a target by its path, which another volume may show later, and by its place on the volume that shows it
// now, which other paths may lead to. Each mount namespace has paths of its own.
func treesOf(w *volume.Watcher, target string) []dirName {
	namespace, _ := os.Readlink("/proc/self/ns/mnt")
	names := []dirName{{namespace, target}}
	if device, path, ok := w.Where(target); ok {
		names = append(names, dirName{"volume " + device, path})
	}
	return names
}

// lockTree locks a directory alone, and those around it together with others that have something in them.
func lockTree(target string, t dirName, lock lockByte) error {
	for dir := t.path; ; dir = filepath.Dir(dir) {
		sum := sha256.Sum256([]byte(t.root + "\x00" + dir))
		at := int64(binary.BigEndian.Uint64(sum[:]) >> 2) // The byte behind it has to have a number, too.
		holder, err := lock(at, dir != t.path)
		if errors.Is(err, syslock.ErrHeld) {
			err = inUse(holder, dir != t.path)
		}
		if err != nil {
			return &weir.Error{Op: "use target", Kind: weir.KindRefused, Path: target, Err: err, Hint: "end that process, or choose another target"}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func inUse(pid int, around bool) error {
	process := fmt.Sprintf("process %d", pid)
	if pid == 0 {
		process = "a process that is not visible here"
	}
	if around {
		return errors.New("it is inside a target that is in use by " + process)
	}
	return fmt.Errorf("it, or a directory in it, is in use by %s", process)
}

// take claims what the engine asks for, and waits for the lock. An engine that is refused ends without it.
func (s *supervisor) take(locks, claims *os.File) {
	defer close(s.served)
	defer locks.Close()
	if file, err := syslock.Serve(locks, claims); err == nil {
		s.locked <- file
	}
}

// release gives the claims up, once nobody asks for more: an engine that hangs in the kernel may still do so, until this
// process ends.
func (s *supervisor) release(claims *os.File) {
	if s.process == nil {
		claims.Close()
		return
	}
	select {
	case <-s.served:
		claims.Close()
	case <-time.After(reapPatience):
		return
	}
	select {
	case lock := <-s.locked: // It came with the end.
		lock.Close()
	default:
	}
}
