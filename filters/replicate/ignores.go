package replicate

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// ignores says why what happens at a path comes to no replica, although the volume that shows it is followed; or nothing. A
// path beside the source is part of it where another mount shows the same directory below the source.
func (r *Replicator) ignores(volume weir.VolumeID, path string, dir bool) (why string) {
	for _, below := range r.shownBelow(volume, path) {
		not := r.leavesOut(volume, below, dir)
		if not == "" {
			return ""
		}
		why = cmp.Or(why, not)
	}
	return cmp.Or(why, "it is no part of "+weir.QuotePath(r.options.Source))
}

// leavesOut says why a path below the source, which a volume shows, is not replicated, as far as its name tells.
func (r *Replicator) leavesOut(volume weir.VolumeID, path string, dir bool) string {
	if r.isForFsck(volume, path) {
		return "fsck(8) keeps lost+found at the root of this file system, and it is not copied"
	}
	if private := r.options.Private; private != "" && private != r.options.Source && inside(private, path) {
		return privateNote
	}
	for _, t := range r.targets {
		if inside(t.Path(), path) {
			return "it is in the target " + weir.QuotePath(t.Path())
		}
	}
	if r.options.Rules.Excluded(relative(r.options.Source, path), dir) {
		return "left out by --exclude"
	}
	return r.notFollowed(relative(r.options.Source, path))
}

// notFollowed says why the mount that shows a path, relative to the source, is not followed; or nothing, if it is.
func (r *Replicator) notFollowed(rel string) (why string) {
	nearest := 0
	for _, p := range r.allPlaces() {
		if at, shown, _ := p.at(); shown != nil && inside(at, rel) {
			nearest = max(nearest, len(at))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, note := range r.notes {
		if inside(at, rel) && len(at) > nearest {
			nearest, why = len(at), note
		}
	}
	return why
}

// isForFsck reports whether a path below the source is, or is in, the lost+found at the root of a volume, where a place shows that
// root. A place whose own root is lost+found is copied.
func (r *Replicator) isForFsck(volume weir.VolumeID, path string) bool {
	return slices.ContainsFunc(r.allPlaces(), func(p *place) bool {
		rel, shown, _ := p.at()
		if shown == nil || shown.ID() != volume || !strings.HasPrefix(shown.Info().Identity.FSType, "ext") {
			return false
		}
		top := r.sourcePath(rel)
		return onVolume(shown.Info(), top) == "/" && inside(filepath.Join(top, tree.LostFound), path)
	})
}

// shownBelow returns the paths at or below the source by which what a volume shows at a path can be reached: the path itself if
// it is one, and those by way of other mounts.
func (r *Replicator) shownBelow(volume weir.VolumeID, path string) (paths []string) {
	if inside(r.options.Source, path) {
		paths = append(paths, path)
	}
	for _, p := range r.allPlaces() {
		rel, shown, _ := p.at()
		if shown == nil || shown.ID() != volume {
			continue
		}
		top := r.sourcePath(rel)
		from, on := onVolume(shown.Info(), top), onVolume(shown.Info(), path)
		if from != "" && on != "" && inside(from, on) {
			paths = append(paths, filepath.Join(top, relative(from, on)))
		}
	}
	return paths
}

// onVolume returns what a path, which a volume shows, is from the volume's root; or nothing if no mount leads there.
func onVolume(v weir.VolumeInfo, path string) (on string) {
	above := ""
	for _, m := range v.Mounts {
		if m.Own && inside(m.Point, path) && len(m.Point) >= len(above) {
			above, on = m.Point, filepath.Join("/", m.Root, relative(m.Point, path))
		}
	}
	return on
}
