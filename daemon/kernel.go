package daemon

import (
	"fmt"

	"github.com/weirfs/weir/internal/sys/probe"
)

// coarseTimes reports whether the kernel keeps time stamps by the tick. Since Linux 6.13 ext4, xfs, btrfs
// and tmpfs give each change that somebody could tell apart a time of its own.
func coarseTimes() bool {
	release, err := probe.Release()
	if err != nil {
		return true
	}
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return true
	}
	return major < 6 || major == 6 && minor < 13
}
