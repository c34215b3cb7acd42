package volume

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
)

// At implements weir.Discovery. It works before Run too. Symbolic links in path are followed.
func (w *Watcher) At(path string) (weir.Volume, error) {
	if !filepath.IsAbs(path) {
		return nil, atError(weir.KindRefused, path, errRelative)
	}
	path = filepath.Clean(path)
	// A mount that comes or goes between the look and the lookup makes the answer of neither moment.
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	for range 3 {
		v, err := w.atNow(ctx, path)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, atError(weir.KindFailed, path, errUnsteady) // What is there is seen a moment later.
}

var errUnsteady = errors.New("what is mounted there keeps changing")

func atError(kind weir.Kind, path string, err error) error {
	e := &weir.Error{Op: "find the volume of", Kind: kind, Path: path, Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Err, e.Hint = weir.ErrSilent, weir.SilentHint
	}
	return e
}

// atNow returns nil and no error if mounts have changed meanwhile.
func (w *Watcher) atNow(ctx context.Context, path string) (weir.Volume, error) {
	table, err := w.fresh()
	if err != nil {
		return nil, atError(weir.KindFailed, path, err)
	}
	m, ok := locate(table, path)
	if ok && m.Point == path {
		return w.showing(m.ID), nil // the kernel names mount points without symbolic links
	}
	on, err := w.locatedOn(ctx, table, m, path)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return w.atLink(ctx, question{path, m.Device})
	case err != nil:
		return nil, atError(kindOf(err), path, err)
	case !on:
		return nil, nil
	}
	return w.showing(m.ID), nil
}

// showing returns the volume that a mount shows, or nil.
func (w *Watcher) showing(id uint64) weir.Volume {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in, _ := w.model.withMount(id); in != nil {
		return w.volumes[in.id]
	}
	return nil
}

// locatedOn tells whether path, which is no mount point, exists on the mount that the table says. The error is ELOOP if
// a symbolic link leads there. The directory above is asked for its device: an overlay whose layers are on several file
// systems gives every file the device of one of these, and only directories its own.
func (w *Watcher) locatedOn(ctx context.Context, table []mount.Entry, m mount.Entry, path string) (bool, error) {
	q := question{path, m.Device}
	if w.isSilent(q) {
		return false, context.DeadlineExceeded
	}
	dir, err := w.within(ctx, q, func() (*fd.FD, error) { return enterAbove(table, path) })
	if errors.Is(err, syscall.EXDEV) {
		return false, nil // Something has been mounted there meanwhile.
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	on, err := onDevice(dir, m.Device)
	return on || m.FSType == "btrfs" && mount.IsBtrfs(dir), err
}

// enterAbove enters the directory above path, if path is there and on the mount of that directory. Otherwise there is
// EXDEV.
func enterAbove(table []mount.Entry, path string) (*fd.FD, error) {
	dir, err := enter(table, filepath.Dir(path), mount.Place, refuse)
	if err != nil {
		return nil, err
	}
	file, err := mount.OpenOnMount(dir, filepath.Base(path), mount.Anything)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, file.Close()
}

// atLink finds the volume of a path with symbolic links by the mount that the kernel's lookup ends on.
func (w *Watcher) atLink(ctx context.Context, q question) (weir.Volume, error) {
	type answer struct {
		id  uint64
		err error
	}
	path := q.of
	if w.isSilent(q) {
		return nil, atError(weir.KindFailed, path, context.DeadlineExceeded)
	}
	answers := make(chan answer, 1)
	err := w.inBackground(q, func() {
		id, err := w.mountID(path)
		answers <- answer{id, err}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, atError(weir.KindFailed, path, ctx.Err())
	case a := <-answers:
		if a.err != nil {
			return nil, atError(kindOf(a.err), path, a.err)
		}
		if err := w.look(); err != nil {
			return nil, atError(weir.KindFailed, path, err)
		}
		return w.showing(a.id), nil
	}
}

// mountID returns the id, of the kind that the model has, of the mount that shows path.
func (w *Watcher) mountID(path string) (uint64, error) {
	if !w.fallback && mount.Complete() {
		return mount.UniqueID(path)
	}
	return mount.ReusableID(path)
}

// MountsBelow returns the mounts of weir's own namespace that show strictly below path, as they are now, in
// the order in which they were made. Mounts that others hide are left out. path is absolute and without
// symbolic links.
func (w *Watcher) MountsBelow(path string) []weir.Mount {
	path = filepath.Clean(path)
	table := w.freshOrSeen()
	var found []mount.Entry
	for _, e := range table {
		if below(path, e.Point) && visible(table, e) {
			found = append(found, e)
		}
	}
	return w.describe(found)
}

// ShownBy returns the volume that shows path, by the table of mounts alone: nothing is opened, so that no umount is
// disturbed and nothing hangs. It returns 0 if that is not known. path is absolute and without symbolic links.
func (w *Watcher) ShownBy(path string) weir.VolumeID {
	table, err := w.seen()
	if err != nil {
		return 0
	}
	m, ok := locate(table, filepath.Clean(path))
	if !ok {
		return 0
	}
	if v := w.showing(m.ID); v != nil {
		return v.ID()
	}
	return 0
}

// Where returns where path is on the volume that shows it: the device, as VolumeInfo has it, and the path from the volume's
// root. It goes by the table of mounts alone, so that nothing hangs, and path need not exist. ok is false if that is not
// known. path is absolute and without symbolic links.
func (w *Watcher) Where(path string) (device, on string, ok bool) {
	path = filepath.Clean(path)
	m, ok := locate(w.freshOrSeen(), path)
	if !ok {
		return "", "", false
	}
	return m.Device.String(), filepath.Join("/", m.Root, strings.TrimPrefix(path, m.Point)), true
}

// IsMountPoint tells whether something is mounted at path now. path is absolute and without symbolic links.
func (w *Watcher) IsMountPoint(path string) bool {
	path = filepath.Clean(path)
	m, ok := locate(w.freshOrSeen(), path)
	return ok && m.Point == path
}

// freshOrSeen is fresh for callers that cannot fail: if the kernel cannot be asked, what was seen last counts.
func (w *Watcher) freshOrSeen() []mount.Entry {
	table, err := w.fresh()
	if err != nil {
		w.log.Warn("mounts cannot be looked at; what was seen last is told", "error", err)
	}
	return table
}
