package replicate

import (
	"context"
	"path/filepath"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// leftOut is why a mount is not followed, of which it is known what it covers.
type leftOut string

func (l leftOut) Error() string { return string(l) }

// leaveOut says why a mount is not followed, or nothing.
func (r *Replicator) leaveOut(v weir.VolumeInfo, m weir.Mount, rel string, isDir bool) string {
	switch by := r.excludes(v); {
	case r.options.OneVolume:
		return "left out by --one-volume"
	case by != "":
		return "left out by " + by
	case v.Pseudo:
		return "it is of a pseudo file system, which holds no data"
	case !isDir:
		return "a single file is mounted here; weir follows directories"
	case r.options.Rules.Excluded(rel, true):
		return "excluded"
	}
	if private := r.options.Private; private != "" && inside(private, m.Point) {
		return privateNote
	}
	for _, t := range r.targets {
		if inside(m.Point, t.Path()) || inside(t.Path(), m.Point) || r.showsTarget(v, m, t) {
			return "it shows the target " + weir.QuotePath(t.Path())
		}
	}
	return ""
}

// excludes returns the option by which the administrator has excluded a volume, or nothing.
func (r *Replicator) excludes(v weir.VolumeInfo) string {
	if r.options.Excludes == nil {
		return ""
	}
	return r.options.Excludes(v)
}

// showsTarget reports whether a mount below the source shows a directory that a target is in, by another
// path: a bind mount of the target, or of a directory around it.
func (r *Replicator) showsTarget(v weir.VolumeInfo, m weir.Mount, t *target.Target) bool {
	if r.options.Mounts.ShownBy(t.Path()) != v.ID {
		return false
	}
	for _, own := range v.Mounts {
		if own.Own && inside(own.Point, t.Path()) {
			root := filepath.Join(own.Root, relative(own.Point, t.Path()))
			if inside(m.Root, root) || inside(root, m.Root) {
				return true
			}
		}
	}
	return false
}

// leavePrivate leaves out the directory that weir itself writes, where it is below the source: each change in it would
// make another one.
func (r *Replicator) leavePrivate(ctx context.Context, s *survey) error {
	path := r.options.Private
	if path == "" || path == r.options.Source || !inside(r.options.Source, path) {
		return nil
	}
	rel := relative(r.options.Source, path)
	parent := r.placeAbove(rel, s.present)
	_, key, _, err := r.mountKey(ctx, parent, rel)
	if err != nil {
		return err
	}
	s.cover(parent, key, false)
	s.notes[rel] = privateNote
	return nil
}

const privateNote = "weir writes it: it is the state directory"

// leftOutBy names the option by which a place, which was replicated before, is no part of this run, if there is one.
func (r *Replicator) leftOutBy(p *place) string {
	p.mu.Lock()
	rel, excluded := p.rel, p.excluded
	p.mu.Unlock()
	switch {
	case excluded != "":
		return excluded
	case p.parent == nil:
		return ""
	case r.options.OneVolume:
		return "--one-volume"
	case r.options.Rules.Excluded(rel, true):
		return "--exclude"
	}
	return ""
}
