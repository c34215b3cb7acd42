package replicate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

func refuse(path, why, hint string) error {
	return &weir.Error{Op: "use target", Kind: weir.KindRefused, Path: path, Err: errors.New(why), Hint: hint}
}

// prepare makes a directory a target, if it may become one. A target that the index knows and that is
// not there now is no error: its units wait for it. dry tells without writing.
func (t *target) prepare(ctx context.Context, dry bool) error {
	if err := t.load(); err != nil {
		return err
	}
	t.mu.Lock()
	known := t.record != nil
	t.mu.Unlock()
	if known {
		return t.prepareKnown(ctx, dry)
	}
	if _, err := os.Lstat(t.path); errors.Is(err, fs.ErrNotExist) {
		if dry {
			return t.mayMake()
		}
		if err := os.Mkdir(t.path, 0o700); err != nil {
			return refuse(t.path, "it does not exist and cannot be created: "+errnoText(err), "create it, or mount what it is on")
		}
	}
	return t.mark(ctx, dry)
}

// prepareKnown takes a known target over again if that was asked for; else it only tries out its limits.
func (t *target) prepareKnown(ctx context.Context, dry bool) error {
	look := func(ctx context.Context) (*hold, error) { return t.borrow(ctx, 0) }
	if dry {
		look = t.find
	}
	h, err := look(ctx)
	if err == nil {
		defer h.close()
		if dry {
			return h.mayWrite(t.path)
		}
		if err := h.writable(t.path); err != nil {
			return err
		}
		return t.tryLimits(h)
	}
	if weir.KindOf(err) == weir.KindRefused {
		return err
	}
	if !t.adopt {
		return nil
	}
	h, openErr := t.openRoot(ctx)
	if openErr != nil {
		return nil // It is not there: nothing to adopt.
	}
	h.close()
	return t.mark(ctx, dry)
}

// mark checks that the directory may become a target and makes it one.
func (t *target) mark(ctx context.Context, dry bool) error {
	h, err := t.openRoot(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	ours, err := t.mayUse(h)
	if err != nil {
		return err
	}
	if dry {
		return h.mayWrite(t.path)
	}
	if err := h.root.Mkdir(HiddenDir); err != nil && !errors.Is(err, fs.ErrExist) {
		if full(err) {
			return refuse(t.path, "it has no room at all: "+errnoText(err), "free some room")
		}
		return refuse(t.path, "it cannot be written: "+errnoText(err), "mount it read-write, or check its permissions")
	}
	if h.hidden, err = h.root.OpenDir(HiddenDir); err != nil {
		return fmt.Errorf("open %s of target %s: %w", HiddenDir, weir.QuotePath(t.path), err)
	}
	if err := h.writable(t.path); err != nil {
		return err
	}
	if ours == nil {
		m, err := writeMarker(h.hidden, t.source)
		if err != nil {
			return fmt.Errorf("mark target %s: %w", weir.QuotePath(t.path), err)
		}
		ours = &m
	}
	if err := t.remember(h, *ours); err != nil {
		return err
	}
	return t.tryLimits(h)
}

// remember records the target's identity in the index, durably.
func (t *target) remember(h *hold, m marker) error {
	self, err := h.root.Self()
	if err != nil {
		return err
	}
	record := targetRecord{ReplicaID: m.ID, Path: t.path, Root: self.Handle, RootIno: self.Ino}
	if volume, err := t.discovery.At(t.path); err == nil {
		record.Identity = volume.Info().Identity
	}
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if err := t.db.SetMeta(t.recordKey(), text); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = &record
	return nil
}

// mayUse decides whether an unknown directory may become a target. It returns the marker of a target
// that an earlier index of the same source described.
func (t *target) mayUse(h *hold) (*marker, error) {
	hidden, err := h.root.OpenDir(HiddenDir)
	if err == nil {
		defer hidden.Close()
		if m, _, err := readMarker(hidden); err == nil {
			if m.Source == t.source {
				return &m, nil
			}
			if !t.adopt {
				return nil, refuse(t.path, "it is a replica of "+weir.QuotePath(m.Source), "choose another target, or take it over with --adopt")
			}
			return nil, nil
		} else if weir.KindOf(err) == weir.KindRefused {
			return nil, err
		}
	}
	if t.adopt {
		return nil, nil
	}
	foreign := ""
	err = h.root.List(func(name string, _ uint32) error {
		if name != HiddenDir && name != lostFound {
			foreign = name
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return nil, refuse(t.path, "it cannot be read: "+errnoText(err), "")
	}
	if foreign != "" {
		return nil, refuse(t.path, "it holds data that weir did not make, such as "+weir.QuotePath(foreign),
			"choose an empty directory, or take it over with --adopt: what is equal is kept, the rest is set aside, nothing is deleted")
	}
	return nil, nil
}

// writable makes sure that temporaries can be made.
func (h *hold) writable(path string) error {
	const probe = "writable"
	f, err := h.hidden.CreateTemp(probe)
	if errors.Is(err, fs.ErrExist) {
		if err = h.hidden.Unlink(probe); err == nil {
			f, err = h.hidden.CreateTemp(probe)
		}
	}
	if full(err) {
		return nil // A full target is waited for.
	}
	if err != nil {
		return refuse(path, "it cannot be written: "+errnoText(err), "mount it read-write, or check its permissions")
	}
	f.Close()
	return h.hidden.Unlink(probe)
}

// mayMake and mayWrite ask for what prepare does, without doing it.
func (t *target) mayMake() error {
	parent, err := tree.OpenPath(filepath.Dir(t.path))
	if err == nil {
		defer parent.Close()
		err = parent.MayChange()
	}
	if err != nil {
		return refuse(t.path, "it does not exist and cannot be created: "+errnoText(err), "create it, or mount what it is on")
	}
	return nil
}

func (h *hold) mayWrite(path string) error {
	if err := h.root.MayChange(); err != nil {
		return refuse(path, "it cannot be written: "+errnoText(err), "mount it read-write, or check its permissions")
	}
	return nil
}

// tryLimits finds out what the target can store, unless that is known. A target that has no room for a
// trial is tried when it is borrowed the next time.
func (t *target) tryLimits(h *hold) error {
	t.limitsMu.Lock()
	defer t.limitsMu.Unlock()
	if _, ok := t.tried(); ok {
		return nil
	}
	if err := h.hidden.Mkdir(limitsDir); err != nil && !errors.Is(err, fs.ErrExist) {
		if full(err) {
			return nil
		}
		return err
	}
	dir, err := h.hidden.OpenDir(limitsDir)
	if err != nil {
		return err
	}
	limits, err := tree.TryLimits(dir)
	dir.Close()
	if removeErr := tree.RemoveAll(h.hidden, limitsDir); err == nil {
		err = removeErr
	}
	if err != nil && !full(err) {
		return fmt.Errorf("try out what target %s can store: %w", weir.QuotePath(t.path), err)
	}
	t.mu.Lock()
	t.limits = limits
	t.mu.Unlock()
	if err := t.saveLimits(limits); err != nil {
		return err
	}
	if missing := limits.Missing(); err == nil && len(missing) > 0 {
		t.log.Warn("the target cannot store everything; such files are listed one by one, except for owners, modes and times",
			"target", weir.QuotePath(t.path), "missing", strings.Join(missing, ", "))
	}
	return nil
}

// saveLimits writes down what was found out, for dry runs, which must not try.
func (t *target) saveLimits(l tree.Limits) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return t.db.SetMeta(t.limitsKey(), text)
}

// loadLimits reads what was found out at an earlier start. What cannot be read counts as not known.
func (t *target) loadLimits() {
	text, err := t.db.Meta(t.limitsKey())
	var l tree.Limits
	if err != nil || text == nil || json.Unmarshal(text, &l) != nil {
		return
	}
	t.mu.Lock()
	t.limits = l
	t.mu.Unlock()
}

// errnoText is the kernel's word for an error, without the call and the internal path.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// inside reports whether path is dir or below it; both are clean and absolute.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}
