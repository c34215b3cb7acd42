package tree

import (
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/replica"
)

// placeholder is the inode number of the directory that a snapshot of btrfs has in place of a subvolume in the original:
// BTRFS_EMPTY_SUBVOL_DIR_OBJECTID. It is on no disk. The kernel makes it up at each look, always empty, of root, with the
// mode 0755 and the present time; all that are in one snapshot have one handle, by which none of them can be opened.
const placeholder = 2

// isPlaceholder reports whether s is of a placeholder. n is the directory itself, or the one in which it was found.
func isPlaceholder(n int, s at.Stat) bool {
	if typeOf(s) != replica.TypeDir || s.Ino != placeholder || s.MountRoot {
		return false
	}
	space, err := at.SpaceOf(n)
	return err == nil && space.Type == at.MagicBtrfs
}
