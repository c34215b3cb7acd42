package mount

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Sentinels are marks on superblocks that ask for no event and cost nothing. The kernel drops a mark when
// its superblock dies, so what is no longer Living has been unmounted, even if the same device is mounted
// again at the same place. It is safe for concurrent use.
type Sentinels struct{ group *fd.FD }

// NewSentinels makes a group for sentinels (Linux 4.20). It takes one of fs.fanotify.max_user_groups
// (EMFILE), however many sentinels there are.
func NewSentinels() (*Sentinels, error) {
	n, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_UNLIMITED_MARKS|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("fanotify_init for sentinels: %w", err)
	}
	return &Sentinels{group: fd.New(n)}, nil
}

// Close removes every sentinel.
func (s *Sentinels) Close() error { return s.group.Close() }

// Place puts a sentinel on the superblock of the directory dir, which may be an O_PATH descriptor of a
// detached mount. Placing a second one on the same superblock changes nothing.
func (s *Sentinels) Place(dir *fd.FD) error {
	// A mark that ignores an event it does not ask for stays for ever and never runs.
	err := unix.FanotifyMark(s.group.Int(), unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM|
		unix.FAN_MARK_IGNORED_MASK|unix.FAN_MARK_IGNORED_SURV_MODIFY, unix.FAN_OPEN_EXEC, dir.Int(), ".")
	if err != nil {
		return fmt.Errorf("place a sentinel: %w", err)
	}
	return nil
}

// Living returns the devices of the superblocks that have a sentinel and live. It touches none of them.
func (s *Sentinels) Living() (map[Device]bool, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", s.group.Int()))
	if err != nil {
		return nil, fmt.Errorf("list sentinels: %w", err)
	}
	return ParseMarks(string(text)), nil
}

// ParseMarks returns the devices of the superblock marks in the fdinfo of a fanotify group
// (proc_pid_fdinfo(5)). The kernel prints its own dev_t there: 12 bits of major, 20 of minor.
func ParseMarks(fdinfo string) map[Device]bool {
	devices := map[Device]bool{}
	for line := range strings.Lines(fdinfo) {
		hex, found := strings.CutPrefix(line, "fanotify sdev:")
		if !found {
			continue
		}
		hex, _, _ = strings.Cut(hex, " ")
		if n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 32); err == nil {
			devices[MakeDevice(uint32(n>>20), uint32(n&(1<<20-1)))] = true
		}
	}
	return devices
}
