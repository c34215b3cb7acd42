package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// Prepare makes a directory a target, if it may become one. A target that the index knows and that is
// not there now is no error: its units wait for it. dry tells without writing.
func (t *Target) Prepare(ctx context.Context, dry bool) error {
	if err := t.Load(); err != nil {
		return err
	}
	t.mu.Lock()
	known := t.record != nil
	t.mu.Unlock()
	if known {
		return t.prepareKnown(ctx, dry)
	}
	if err := t.admit(); err != nil {
		return err
	}
	if _, err := os.Lstat(t.options.Path); errors.Is(err, fs.ErrNotExist) {
		if dry {
			return t.mayMake()
		}
		if err := os.Mkdir(t.options.Path, 0o700); err != nil {
			return Refuse(t.options.Path, "it does not exist and cannot be created: "+Reason(err), "create it, or mount what it is on")
		}
	}
	return t.mark(ctx, dry)
}

// admit refuses a new target for what its mounts say, and for what whoever has made the replicator knows.
func (t *Target) admit() error {
	if t.options.Admit != nil {
		if err := t.options.Admit(t.options.Path); err != nil {
			return err
		}
	}
	if mounts := t.options.Mounts.MountsBelow(t.options.Path); len(mounts) > 0 {
		return Refuse(t.options.Path, "a file system is mounted below it, at "+weir.QuotePath(mounts[0].Point),
			"unmount that, or choose a target without mounts")
	}
	return nil
}

// prepareKnown takes a known target over again if that was asked for; else it only tries out its limits.
func (t *Target) prepareKnown(ctx context.Context, dry bool) error {
	look := func(ctx context.Context) (*Hold, error) { return t.Borrow(ctx, 0) }
	if dry {
		look = t.Find
	}
	h, err := look(ctx)
	if err == nil {
		defer h.Close()
		if dry {
			return h.mayWrite(t.options.Path)
		}
		if err := h.writable(t.options.Path); err != nil {
			return err
		}
		return t.tryLimits(h)
	}
	switch {
	case weir.KindOf(err) == weir.KindRefused:
		return err
	case Broken(err):
		return &weir.Error{Op: "use target", Path: t.options.Path, Err: errors.New(Reason(err)), Hint: "see to its disk, or mount it anew"}
	}
	if !t.options.Adopt {
		return nil
	}
	h, openErr := t.OpenRoot(ctx)
	if openErr != nil {
		return nil // It is not there: nothing to adopt.
	}
	h.Close()
	return t.mark(ctx, dry)
}

// mark checks that the directory may become a target and makes it one.
func (t *Target) mark(ctx context.Context, dry bool) error {
	h, err := t.OpenRoot(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	ours, err := t.mayUse(h)
	if err != nil {
		return err
	}
	if dry {
		return h.mayWrite(t.options.Path)
	}
	if err := h.Root.Mkdir(HiddenDir); err != nil && !errors.Is(err, fs.ErrExist) {
		if Full(err) {
			return noRoom(t.options.Path, err)
		}
		return Refuse(t.options.Path, "it cannot be written: "+Reason(err), "mount it read-write, or check its permissions")
	}
	if h.hidden, err = h.Root.OpenDir(HiddenDir); noDirectory(err) {
		return Refuse(t.options.Path, HiddenDir+" in it is no directory", "move that away")
	} else if err != nil {
		return fmt.Errorf("open %s of target %s: %w", HiddenDir, weir.QuotePath(t.options.Path), err)
	}
	if err := h.writable(t.options.Path); err != nil {
		return err
	}
	if ours, err = t.leaveMarker(h, ours); err != nil {
		return err
	}
	if err := t.remember(h, *ours); err != nil {
		return err
	}
	return t.tryLimits(h)
}

// leaveMarker makes what the hidden directory has to have, with a new marker if there is none of ours. It returns the
// marker.
func (t *Target) leaveMarker(h *Hold, ours *marker) (*marker, error) {
	err := reserveGeneration(h.hidden)
	if Full(err) {
		err = nil // A barrier makes it when there is room.
	}
	if err == nil && ours == nil {
		ours = new(marker)
		*ours, err = writeMarker(h.hidden, t.options.Source)
	}
	switch {
	case Full(err):
		return nil, noRoom(t.options.Path, err)
	case err != nil:
		return nil, fmt.Errorf("mark target %s: %w", weir.QuotePath(t.options.Path), err)
	}
	return ours, nil
}

// noRoom refuses a target that has not even room for a marker.
func noRoom(path string, err error) error {
	return Refuse(path, "it has no room at all: "+Reason(err), "free some room")
}

// remember records the target's identity in the index, durably.
func (t *Target) remember(h *Hold, m marker) error {
	self, err := h.Root.Self()
	if err != nil {
		return err
	}
	record := record{ReplicaID: m.ID, Path: t.options.Path, Root: self.Handle, RootIno: self.Ino}
	if volume, err := t.options.Discovery.At(t.options.Path); err == nil {
		record.Identity = volume.Info().Identity
	}
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if err := t.options.Index.SetMeta(t.recordKey(), text); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = &record
	return nil
}

// mayUse decides whether an unknown directory may become a target. It returns the marker of a target
// that an earlier index of the same source described.
func (t *Target) mayUse(h *Hold) (*marker, error) {
	hidden, err := h.Root.OpenDir(HiddenDir)
	if err == nil {
		defer hidden.Close()
		m, _, err := readMarker(hidden, t.options.Path)
		if err == nil {
			if m.Source == t.options.Source {
				return &m, nil
			}
			if !t.options.Adopt {
				return nil, Refuse(t.options.Path, "it is a replica of "+weir.QuotePath(m.Source), "choose another target, or take it over with --adopt")
			}
			return nil, nil
		}
		if weir.KindOf(err) != weir.KindAbsent {
			return nil, err
		}
	} else if Broken(err) {
		return nil, unread(t.options.Path, HiddenDir, err)
	}
	if t.options.Adopt {
		return nil, nil
	}
	foreign := ""
	err = h.Root.List(func(name string, _ uint32) error {
		if !h.Keeps(name) {
			foreign = name
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return nil, Refuse(t.options.Path, "it cannot be read: "+Reason(err), "")
	}
	if foreign != "" {
		return nil, Refuse(t.options.Path, "it holds data that weir did not make, such as "+weir.QuotePath(foreign),
			"choose an empty directory, or take it over with --adopt: what is equal is kept, the rest is set aside, nothing is deleted")
	}
	return nil, nil
}

// writable makes sure that temporaries can be made.
func (h *Hold) writable(path string) error {
	const probe = "writable"
	f, err := h.hidden.CreateTemp(probe)
	if errors.Is(err, fs.ErrExist) {
		if err = h.hidden.Unlink(probe); err == nil {
			f, err = h.hidden.CreateTemp(probe)
		}
	}
	if Full(err) {
		return nil // A full target is waited for.
	}
	if err != nil {
		return Refuse(path, "it cannot be written: "+Reason(err), "mount it read-write, or check its permissions")
	}
	f.Close()
	return h.hidden.Unlink(probe)
}

// mayMake and mayWrite ask for what prepare does, without doing it.
func (t *Target) mayMake() error {
	parent, err := tree.OpenPath(filepath.Dir(t.options.Path))
	if err == nil {
		defer parent.Close()
		err = parent.MayChange()
	}
	if err != nil {
		return Refuse(t.options.Path, "it does not exist and cannot be created: "+Reason(err), "create it, or mount what it is on")
	}
	return nil
}

func (h *Hold) mayWrite(path string) error {
	if err := h.Root.MayChange(); err != nil {
		return Refuse(path, "it cannot be written: "+Reason(err), "mount it read-write, or check its permissions")
	}
	return nil
}
