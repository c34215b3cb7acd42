package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// tryLimits finds out what the target can store, unless that is known. A target that has no room for a
// trial is tried when it is borrowed the next time.
func (t *Target) tryLimits(h *Hold) error {
	t.limitsMu.Lock()
	defer t.limitsMu.Unlock()
	if _, ok := t.Limits(); ok {
		return nil
	}
	if err := h.hidden.Mkdir(limitsDir); err != nil && !errors.Is(err, fs.ErrExist) {
		if Full(err) {
			return nil
		}
		return fmt.Errorf("target %s cannot be written: %w", weir.QuotePath(t.options.Path), bareErrno(err))
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
	if err != nil && !Full(err) {
		return fmt.Errorf("try out what target %s can store: %w", weir.QuotePath(t.options.Path), err)
	}
	t.mu.Lock()
	t.limits = limits
	t.mu.Unlock()
	if err := t.saveLimits(limits); err != nil {
		return err
	}
	if missing := limits.Missing(); err == nil && len(missing) > 0 {
		t.options.Logger.Warn("the target cannot store everything; such files are listed one by one, except for owners, modes and times",
			"target", weir.LogPath(t.options.Path), "missing", strings.Join(missing, ", "))
	}
	return nil
}

// saveLimits writes down what was found out, for dry runs, which must not try.
func (t *Target) saveLimits(l tree.Limits) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return t.options.Index.SetMeta(t.limitsKey(), text)
}

// LoadLimits reads what was found out at an earlier start. What cannot be read counts as not known.
func (t *Target) LoadLimits() {
	text, err := t.options.Index.Meta(t.limitsKey())
	var l tree.Limits
	if err != nil || text == nil || json.Unmarshal(text, &l) != nil {
		return
	}
	t.mu.Lock()
	t.limits = l
	t.mu.Unlock()
}

// Surprises leaves out what the target is known to store of no file: that was said for all of them.
func (t *Target) Surprises(refused tree.Unstored, want replica.Attr) tree.Unstored {
	l, ok := t.Limits()
	if !ok || len(refused) == 0 {
		return refused
	}
	var left tree.Unstored
	for _, r := range refused {
		known := r.Attribute == "owner" && !l.Owners || r.Attribute == "mode" && !l.Modes ||
			r.Attribute == "mtime" && (!l.Times || between(want.Mtime, l.TimeStep))
		if !known {
			left = append(left, r)
		}
	}
	return left
}

// between reports whether a time lies between two that are told apart in steps of so many nanoseconds.
func between(t replica.Time, step int64) bool {
	if step > 1e9 {
		return t.Nsec != 0 || t.Sec%(step/1e9) != 0
	}
	return step > 1 && int64(t.Nsec)%step != 0
}

// SameInode reports whether an object on the target is the one that the index remembers. Where inode
// numbers do not last, as on most programs behind FUSE, the type has to do.
func (t *Target) SameInode(o tree.Object, known replica.Attr) bool {
	if o.Type() != known.Type() {
		return false
	}
	return o.Ino == known.Ino || o.Handle == ""
}

// BornSince reports whether an object on the target was made after the one that the index remembers was looked at last. Where
// times are coarse an object can be older, as they tell, than its own birth.
func (t *Target) BornSince(o tree.Object, known replica.Attr) bool {
	limits, tried := t.Limits()
	return tried && limits.TimeStep == 1 && known.Ctime.Before(o.Birth)
}
