package probe

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/sys/mount"
)

// ground is a detached tmpfs to try things on, or the reason why there is none.
type ground struct {
	mount *fd.FD // O_PATH, what fsmount returned
	dir   *fd.FD // its root, open for reading
	err   error
}

func newGround() *ground {
	detached, err := mount.Make("tmpfs", false)
	if err != nil {
		return &ground{err: err}
	}
	n, err := unix.Openat(detached.Int(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &ground{err: errors.Join(err, detached.Close())}
	}
	return &ground{mount: detached, dir: fd.New(n)}
}

func (g *ground) close() {
	if g.err == nil {
		_ = g.dir.Close()
		_ = g.mount.Close()
	}
}

func tryDetached(g *ground) (string, error) { return "", g.err }

func tryChangeEvents(g *ground) (string, error) {
	marks, err := NewMarks()
	if err != nil {
		return "", err
	}
	defer marks.Close()
	if g.err != nil {
		return "", g.err
	}
	return "", marks.Try(g.dir)
}

func tryHandles(g *ground) (string, error) {
	if g.err != nil {
		return "", g.err
	}
	h, err := handle.Of(g.dir.Int())
	if err != nil {
		return "", fmt.Errorf("name_to_handle_at: %w", err)
	}
	n, err := handle.Open(g.dir.Int(), h, unix.O_RDONLY)
	if err != nil {
		return "", fmt.Errorf("open_by_handle_at: %w", err)
	}
	return "", unix.Close(n)
}

func tryClone(*ground) (string, error) { return "", closed(mount.Clone("/proc/self")) }

func tryPrivateClone(*ground) (string, error) { return "", closed(mount.ClonePrivate("/proc/self")) }

func closed(file *fd.FD, err error) error {
	if err != nil {
		return err
	}
	return file.Close()
}

func tryOpenat2(*ground) (string, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	n, err := unix.Openat2(unix.AT_FDCWD, ".", &how)
	if err != nil {
		return "", fmt.Errorf("openat2: %w", err)
	}
	return "", unix.Close(n)
}

func tryTable(*ground) (string, error) {
	table, err := mount.OpenTable()
	if err != nil {
		return "", err
	}
	defer table.Close()
	if _, err := table.Changed(); err != nil {
		return "", err
	}
	entries, err := table.Read()
	return fmt.Sprintf("%d mounts", len(entries)), err
}

// minimumGroups is one to try marks, one for mounts, and one that all volumes share.
const minimumGroups = 3

func tryGroups(*ground) (string, error) {
	text, err := os.ReadFile("/proc/sys/fs/fanotify/max_user_groups")
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil && n < minimumGroups {
		err = fmt.Errorf("only %d are allowed; raise fs.fanotify.max_user_groups", n)
	}
	return fmt.Sprintf("%d allowed", n), err
}

func tryMountEvents(*ground) (string, error) {
	events, err := mount.NewEvents()
	if err != nil {
		return "", err
	}
	return "", errors.Join(events.MarkOwn(), events.Close())
}

func tryStatmount(*ground) (string, error) {
	ids, err := mount.List(0)
	if err != nil {
		return "", err
	}
	if !mount.Complete() {
		return "", errors.New("the kernel leaves out the source of a mount")
	}
	return fmt.Sprintf("%d mounts", len(ids)), nil
}

func tryUniqueID(*ground) (string, error) {
	_, err := mount.UniqueID("/")
	return "", err
}

func trySentinel(g *ground) (string, error) {
	sentinels, err := mount.NewSentinels()
	if err != nil {
		return "", err
	}
	defer sentinels.Close()
	if g.err != nil {
		return "", g.err
	}
	if err := sentinels.Place(g.dir); err != nil {
		return "", err
	}
	living, err := sentinels.Living()
	if err == nil && len(living) != 1 {
		err = errors.New("the kernel does not list the mark")
	}
	return "", err
}

func tryNamespaces(*ground) (string, error) {
	all, err := mount.Namespaces()
	if err != nil {
		return "", err
	}
	for _, namespace := range all {
		if _, err := mount.List(namespace.ID); err != nil && !errors.Is(err, unix.ENOENT) {
			return "", fmt.Errorf("the mounts of namespace %d: %w", namespace.Inode, err)
		}
	}
	return fmt.Sprintf("%d namespaces", len(all)), nil
}

// tryEnter enters the namespace that the process is in, which takes the same privileges as another one.
func tryEnter(*ground) (string, error) {
	own, err := mount.OpenNamespaceOf(os.Getpid())
	if err != nil {
		return "", err
	}
	defer own.Close()
	return "", mount.In(own, func() error { return nil })
}

func tryUUID(g *ground) (string, error) {
	if g.err != nil {
		return "", g.err
	}
	// tmpfs has a UUID on every kernel that has the ioctl.
	return "", mount.HasUUIDCall(g.dir)
}

func tryPidfd(*ground) (string, error) {
	n, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return "", fmt.Errorf("pidfd_open: %w", err)
	}
	return "", unix.Close(n)
}

// capability makes the probe of one capability (capabilities(7)): whether the process has it in effect.
func capability(name string, number int, needed bool, what, without string) trial {
	return trial{Feature{Name: name, What: what, Needed: needed, Without: without}, func(*ground) (string, error) {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			return "", fmt.Errorf("capget: %w", err)
		}
		if data[number/32].Effective&(1<<(number%32)) == 0 {
			return "", errors.New("the process does not have it")
		}
		return "", nil
	}}
}
