package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// Hold is a target that a session has borrowed and found to be the one that the index describes.
type Hold struct {
	Root   *tree.Dir // of the target
	Tmp    *tree.Dir // for temporaries of the place that has borrowed it
	Parked *tree.Dir // for what has vanished there and may live on

	volume        weir.Volume
	lease         weir.Lease
	hidden, aside *tree.Dir
	covered       []string // see Cover
	parkedPath    []string // of Parked, from the root
	moved         <-chan struct{}
}

// Done returns a channel that is closed when the volume of the target is leaving.
func (h *Hold) Done() <-chan struct{} { return h.lease.Done() }

// Moved returns a channel that is closed when file systems below the target were mounted or unmounted.
func (h *Hold) Moved() <-chan struct{} { return h.moved }

// Covered reports whether any file system is mounted below the target.
func (h *Hold) Covered() bool { return len(h.covered) > 0 }

// Keeps reports whether a name at the target's root is no part of the replica: weir's own directory, or that of fsck(8).
func (h *Hold) Keeps(name string) bool { return name == HiddenDir || h.Root.ForFsck(name) }

// Close gives the target back.
func (h *Hold) Close() {
	for _, d := range []*tree.Dir{h.aside, h.Parked, h.Tmp, h.hidden, h.Root} {
		if d != nil {
			d.Close()
		}
	}
	h.lease.Close()
}

// Borrow opens the target for a place, and proves that it is the one that the index describes. Nothing is written
// but what is missing in the hidden directory. The error is of KindAbsent if the target is not there, is another one,
// carries no marker, or has its hidden directory covered by a mount.
func (t *Target) Borrow(ctx context.Context, place uint32) (*Hold, error) {
	h, err := t.Find(ctx)
	if err != nil {
		t.lost(err)
		return nil, err
	}
	err = t.tryLimits(h)
	if err == nil {
		var changed bool
		if h.covered, h.moved, changed = t.Cover(); changed {
			t.options.Uncovered(t)
		}
		err = h.openHidden(strconv.FormatUint(uint64(place), 10), t.options.Path)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// openHidden opens what a place has in the hidden directory of the target at path.
func (h *Hold) openHidden(place, path string) error {
	h.parkedPath = []string{HiddenDir, parkedDir, place}
	for _, sub := range []struct {
		names []string
		dir   **tree.Dir
	}{{[]string{tmpDir, place}, &h.Tmp}, {[]string{parkedDir, place}, &h.Parked}, {[]string{asideDir}, &h.aside}} {
		name := HiddenDir + "/" + strings.Join(sub.names, "/")
		err := h.Reach(append([]string{HiddenDir}, sub.names...))
		if err != nil {
			return &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: path, Err: fmt.Errorf("%s: %w", name, err)}
		}
		*sub.dir, err = openOrMakeAll(h.hidden, sub.names)
		if noDirectory(err) {
			return Absent(path, name+", or what it is in, is no directory", "move that away: weir makes it anew")
		}
		if err != nil {
			return fmt.Errorf("open %s of target %s: %w", name, weir.QuotePath(path), err)
		}
	}
	return nil
}

// Find is Borrow without any trace on the target: what is missing in the hidden directory is not made, and only Root
// is open.
func (t *Target) Find(ctx context.Context) (*Hold, error) {
	t.mu.Lock()
	record := t.record
	t.mu.Unlock()
	if record == nil {
		return nil, Absent(t.options.Path, "not prepared yet", "")
	}
	h, err := t.OpenRoot(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.prove(h, record); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// openOrMakeAll opens a directory below another one, and makes what is missing on the way.
func openOrMakeAll(dir *tree.Dir, names []string) (*tree.Dir, error) {
	to, err := dir.Walk(names)
	if !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	if to, err = tree.Open(dir.FD()); err != nil {
		return nil, err
	}
	for _, name := range names {
		next, err := openOrMake(to, name)
		to.Close()
		if err != nil {
			return nil, err
		}
		to = next
	}
	return to, nil
}

// OpenRoot opens whatever directory is at the target's path.
func (t *Target) OpenRoot(ctx context.Context) (*Hold, error) {
	volume, err := t.options.Discovery.At(t.options.Path)
	switch {
	case errors.Is(err, weir.ErrSilent):
		return nil, Absent(t.options.Path, weir.ErrSilent.Error(), weir.SilentHint)
	case err != nil:
		return nil, err
	}
	lease, err := volume.Borrow(ctx, t.options.Path)
	if err != nil {
		return nil, err
	}
	root, err := tree.Open(lease.FD())
	if err != nil {
		lease.Close()
		return nil, err
	}
	t.mu.Lock()
	t.away = t.away || t.shown != 0 && t.shown != volume.ID()
	t.shown = volume.ID()
	t.mu.Unlock()
	return &Hold{volume: volume, lease: lease, Root: root}, nil
}

// prove checks root handle and marker, and opens the hidden directory.
func (t *Target) prove(h *Hold, record *record) error {
	self, err := h.Root.Self()
	if err != nil {
		return err
	}
	itself := self.Handle == record.Root && self.Ino == record.RootIno && !h.elsewhere(record.Identity)
	if h.hidden, err = h.Root.OpenDir(HiddenDir); err != nil {
		return unmarked(t.options.Path, itself, err)
	}
	t.mu.Lock()
	passed := t.generation // A barrier may pass while the marker is read, which then is no older than the index.
	rollbacks := t.rollbacks
	t.mu.Unlock()
	marker, generation, err := readMarker(h.hidden, t.options.Path)
	if err != nil {
		return err
	}
	if marker.ID != record.ReplicaID {
		return Absent(t.options.Path, "it carries the marker of another replica", "mount the right target, or start with --adopt")
	}
	if !itself {
		return Absent(t.options.Path, "it is a copy of the target, not the target that the index describes",
			"mount the target itself, or start with --adopt to take the copy over")
	}
	if generation < passed { // No later barrier may make this forgotten.
		rollbacks++
		if err := t.options.Index.SetMeta(t.rollbacksKey(), fmt.Append(nil, rollbacks)); err != nil {
			return err
		}
	}
	if t.found(generation, passed, rollbacks) {
		t.options.Logger.Warn("the target is older than the index, as if it had been rolled back: it is compared in full",
			"target", weir.LogPath(t.options.Path))
	}
	return nil
}

// unmarked is the error of a target whose hidden directory cannot be opened. itself says that nothing else tells it from the
// one that is wanted.
func unmarked(path string, itself bool, err error) error {
	switch {
	case noDirectory(err):
		return Absent(path, HiddenDir+" in it is no directory", "put that back, or move what is there away and start with --adopt")
	case !errors.Is(err, fs.ErrNotExist):
		return unread(path, HiddenDir, err)
	case itself:
		return Absent(path, "its directory "+HiddenDir+" is gone", "put that back, or start with --adopt")
	}
	return Absent(path, "no marker: the target is not mounted, or is another one", "mount the target")
}

// elsewhere reports whether the target is on another file system than the one with that identity. Many file systems give
// their root directories the same handle.
func (h *Hold) elsewhere(was weir.Identity) bool {
	is := h.volume.Info().Identity.UUID
	return was.UUID != "" && is != "" && is != was.UUID
}

// found takes note of the generation of the target, and reports whether it turns out to be older than the index.
func (t *Target) found(generation, passed, rollbacks uint64) (older bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case generation < passed:
		older = t.outdated != passed // Else it was found out before.
		t.outdated = passed
		t.epoch++
		t.rollbacks = max(t.rollbacks, rollbacks)
		t.generation, t.writing = generation, generation
	case generation > t.writing:
		t.epoch++
		t.generation, t.writing = generation, generation
	case t.away:
		t.epoch++
	}
	t.away = false
	return older
}

// lost notes that the target is not there: when it returns, it has to be looked at as a whole.
func (t *Target) lost(err error) {
	if weir.KindOf(err) == weir.KindAbsent {
		t.mu.Lock()
		t.away = true
		t.mu.Unlock()
	}
}

// Reach makes sure that a directory, given by the names that lead to it from the target's root, is not on or below a
// mount: the error is ErrCovered if it is.
func (h *Hold) Reach(names []string) error {
	if len(h.covered) == 0 {
		return nil
	}
	path := strings.Join(names, "/")
	for _, c := range h.covered {
		if path == c || strings.HasPrefix(path, c+"/") {
			return ErrCovered
		}
	}
	return nil
}

// ReachParked is Reach for a directory in Parked.
func (h *Hold) ReachParked(names []string) error {
	return h.Reach(append(slices.Clone(h.parkedPath), names...))
}
