package volume

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
)

// Locate implements weir.Volume. It borrows the volume once for each directory of it that is mounted, and takes some 10 µs
// for a handle. Nothing that it opens is told as an operation by a plane, but the borrowed roots themselves.
func (v *volume) Locate(ctx context.Context, dirs []weir.Handle) (map[weir.Handle]string, error) {
	found := make(map[weir.Handle]string, len(dirs))
	err := error(borrowError(weir.KindAbsent, "", errHidden))
	for _, place := range v.places() {
		if len(found) == len(dirs) {
			break
		}
		if one := v.locateAt(ctx, place, dirs, found); one == nil {
			err = nil
		} else if err != nil {
			err = one
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return found, err
}

// places lists where the volume is shown, one mount of each directory, that of the whole volume first. Where only other
// namespaces show it, it is entered where that is possible, and their first mount says what is found there.
func (v *volume) places() (list []weir.Mount) {
	seen := map[string]bool{}
	mounts := v.Info().Mounts
	for _, m := range mounts {
		if !m.Own || m.Point == "" || seen[m.Root] {
			continue
		}
		seen[m.Root] = true
		if list = append(list, m); m.Root == "/" {
			list[0], list[len(list)-1] = m, list[0]
		}
	}
	if len(list) == 0 && len(mounts) > 0 {
		list = []weir.Mount{{Root: mounts[0].Root}}
		for _, m := range mounts {
			if m.Root == "/" {
				list[0].Root = "/"
			}
		}
	}
	return list
}

// locateAt looks for directories below what one mount shows, on a goroutine of its own: a volume that hangs holds that.
func (v *volume) locateAt(ctx context.Context, place weir.Mount, dirs []weir.Handle, found map[weir.Handle]string) error {
	lease, err := v.Borrow(ctx, place.Point)
	if err != nil {
		return err
	}
	result := make(chan map[weir.Handle]string, 1)
	err = v.w.inBackground(question{of: place.Point}, func() {
		below := map[weir.Handle]string{}
		for _, dir := range dirs {
			if ctx.Err() != nil || isCalledBack(lease) {
				break
			}
			if rel, ok := pathOf(lease.FD(), dir); ok {
				below[dir] = path.Join(place.Root, rel)
			}
		}
		_ = lease.Close() // Before the caller goes on: it may be about to unmount.
		result <- below
	})
	if err != nil {
		return errors.Join(err, lease.Close())
	}
	select {
	case below := <-result:
		for dir, p := range below {
			if found[dir] == "" {
				found[dir] = p
			}
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isCalledBack(l weir.Lease) bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

// pathOf returns the path of a directory below root, if it is there: the kernel also knows paths of directories that have
// been deleted, and of those that the mount does not show, by which something else may be found.
func pathOf(root int, dir weir.Handle) (rel string, ok bool) {
	n, err := handle.Open(root, string(dir), at.Path|at.Dir)
	if err != nil {
		return "", false
	}
	opened := fd.New(n)
	defer opened.Close()
	top, err := os.Readlink(at.ProcPath(root))
	if err != nil {
		return "", false
	}
	full, err := os.Readlink(at.ProcPath(n))
	if err != nil {
		return "", false
	}
	rel = strings.TrimPrefix(strings.TrimPrefix(full, strings.TrimSuffix(top, "/")), "/")
	return rel, leadsTo(root, rel, n)
}

// leadsTo tells whether a path below root is that of an open directory.
func leadsTo(root int, rel string, n int) bool {
	if rel == "" {
		rel = "."
	}
	m, err := at.Open(root, rel, at.Path|at.Dir, 0, at.Beneath)
	if err != nil {
		return false
	}
	there := fd.New(m)
	defer there.Close()
	a, errA := at.StatFD(n)
	b, errB := at.StatFD(m)
	return errA == nil && errB == nil && a.Ino == b.Ino && a.Dev == b.Dev
}
