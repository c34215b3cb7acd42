package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/weirfs/weir"
)

const (
	folderName = "control"
	socketName = "socket"
)

// SocketPath returns where the weir with that state directory has its socket.
func SocketPath(state string) string { return filepath.Join(state, folderName, socketName) }

// listener is the socket, as long as it is this process's.
type listener struct {
	*net.UnixListener
	path   string
	folder *os.File
	inode  os.FileInfo
}

// listen makes the socket, in place of the one that is there.
func listen(state string) (_ *listener, err error) {
	l := &listener{path: SocketPath(state)}
	if l.folder, err = openFolder(filepath.Dir(l.path)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the control socket: %w", err), l.folder.Close())
		}
	}()
	fresh := socketName + "." + strconv.Itoa(os.Getpid())
	if err := l.remove(fresh); err != nil { // Of a process that had the same number.
		return nil, err
	}
	l.UnixListener, err = net.ListenUnix("unix", &net.UnixAddr{Name: l.at(fresh), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	l.inode, err = os.Lstat(l.at(fresh))
	if err == nil {
		err = os.Rename(l.at(fresh), l.at(socketName))
	}
	if err != nil {
		return nil, errors.Join(err, l.UnixListener.Close(), l.remove(fresh))
	}
	return l, nil
}

// at names an entry of the folder by a path that is short, and does not lead to another folder of the same name.
func (l *listener) at(name string) string { return within(l.folder, name) }

func within(dir *os.File, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + name
}

func (l *listener) remove(name string) error {
	if err := os.Remove(l.at(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close ends the listening, and removes the socket if it has not been replaced. It may be called twice.
func (l *listener) Close() error {
	if l.folder == nil {
		return nil
	}
	err := l.UnixListener.Close()
	if now, statErr := os.Lstat(l.at(socketName)); statErr == nil && os.SameFile(now, l.inode) {
		err = errors.Join(err, l.remove(socketName))
	}
	err = errors.Join(err, l.folder.Close())
	l.folder = nil
	return err
}

// openFolder opens the folder of the socket, which it makes if need be, and refuses one that others may enter.
func openFolder(path string) (*os.File, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	folder, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	if err := private(folder); err != nil {
		return nil, errors.Join(&weir.Error{Op: "make the control socket", Kind: weir.KindRefused, Path: path, Err: err,
			Hint: "remove the folder; weir makes it anew at the next start"}, folder.Close())
	}
	return folder, nil
}

// private returns why others than the owner of this process may enter a folder, or nil.
func private(folder *os.File) error {
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(os.Geteuid()) {
		return fmt.Errorf("it belongs to user %d", owner)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may enter it (mode %04o)", info.Mode().Perm())
	}
	return nil
}

func quoted(path string) string {
	if path == "" {
		return ""
	}
	return weir.QuotePath(path)
}
