package tree

import (
	"fmt"

	"github.com/weirfs/weir/internal/sys/at"
)

// MayChange returns nil if names can be made in the directory, as far as the kernel tells without trying:
// EROFS on a read-only mount, EPERM in an immutable directory, EACCES without the right to it.
func (d *Dir) MayChange() error {
	if d.byHandle {
		return ErrByHandle
	}
	if err := at.MayWrite(d.FD()); err != nil {
		return fmt.Errorf("ask for write access: %w", err)
	}
	return nil
}
