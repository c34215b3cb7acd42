package fanotify

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
)

// FSIDOf packs the two words of an f_fsid into one number.
func FSIDOf(words [2]int32) uint64 {
	return uint64(uint32(words[0])) | uint64(uint32(words[1]))<<32
}

// FilesystemID returns the f_fsid of the file system at dir, which is what FID.FSID holds in events of a
// mark that was set through dir. On btrfs each subvolume has its own f_fsid, but events carry the one of
// the directory through which the superblock was marked (measured on Linux 6.18).
func FilesystemID(dir int) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(dir, &st); err != nil {
		return 0, fmt.Errorf("stat file system: %w", err)
	}
	return FSIDOf(st.Fsid.Val), nil
}

// BtrfsTop opens the top directory of the btrfs that dir, any directory in one of its subvolumes, is on.
// fanotify_mark(2) accepts a superblock only through that directory and says EXDEV elsewhere, but it need
// not be mounted: its handle can be known, and open_by_handle_at(2) finds it through any mount. That needs
// CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN.
func BtrfsTop(dir int) (*fd.FD, error) {
	h, err := handle.BtrfsTop(dir)
	if err != nil {
		return nil, err
	}
	n, err := handle.Open(dir, h, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("open top of btrfs: %w", err)
	}
	return fd.New(n), nil
}

// MaxUserGroups returns the limit fs.fanotify.max_user_groups, which counts the groups of all processes
// of the user, root included.
func MaxUserGroups() (int, error) {
	const name = "/proc/sys/fs/fanotify/max_user_groups"
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("read limit of fanotify groups: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read limit of fanotify groups from %s: %w", name, err)
	}
	return n, nil
}
