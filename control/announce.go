package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// RunningDir returns the directory in which this user's running weirs are announced: a symbolic link to the socket of
// each. It is "" where a user has no directory for such things.
func RunningDir() string {
	if os.Geteuid() == 0 {
		return rootRunning
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weir", "running")
	}
	return ""
}

// rootRunning is where root's are, which others may look at and not ask.
const rootRunning = "/run/weir/running"

// link announces a socket.
type link struct{ path, to string }

// announce makes the link to a socket, in place of one that a former process of the same state directory has left.
func announce(dir, socket string) (link, error) {
	sum := sha256.Sum256([]byte(socket))
	l := link{filepath.Join(dir, hex.EncodeToString(sum[:8])), socket}
	fresh := l.path + "." + strconv.Itoa(os.Getpid())
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		if err = os.Remove(fresh); errors.Is(err, fs.ErrNotExist) { // Of a process that had the same number.
			err = nil
		}
	}
	if err == nil {
		err = os.Symlink(socket, fresh)
	}
	if err == nil {
		err = os.Rename(fresh, l.path)
	}
	if err != nil {
		return link{}, fmt.Errorf("announce the control socket: %w", err)
	}
	return l, nil
}

// clear removes the link to a socket that nobody listens to any more. One whose socket cannot be found stays: whoever
// listens may be in another mount namespace. A process that has made the socket anew meanwhile listens before it
// announces that, so if nobody does once the link is gone, its own is still to come.
func (l link) clear(ctx context.Context) {
	if os.Remove(l.path) != nil {
		return // It is another user's.
	}
	if running, _ := ask(ctx, l.to); running != nil {
		_, _ = announce(filepath.Dir(l.path), l.to) // Else that one is found by --socket only, as it says itself.
	}
}

// withdraw removes the link, unless another process has made a socket at the same place by now. It may be called on the
// zero link.
func (l link) withdraw() error {
	if l.path == "" {
		return nil
	}
	if _, err := os.Lstat(l.to); err == nil {
		return nil
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("withdraw the control socket: %w", err)
	}
	return nil
}
