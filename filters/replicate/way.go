package replicate

import (
	"context"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// way is what leads to a source that is a directory of its volume, and no mount. A rename on it takes the source away, and
// happens in directories that are no part of the place.
type way struct {
	dirs map[weir.Handle]bool // the source and the directories above it, as far as its mount shows them
	lost chan struct{}        // closed when one of them was renamed or removed
}

// mayStray reports whether an operation may have put something else, or nothing, where the place was. The way is then not
// known any more, and sessions that have come by it end. While it is not known, any directory may be one of it. What is
// renamed over a source that is empty is no case of this: the source itself has an event then, since it loses a link.
func (p *place) mayStray(op *weir.Operation) bool {
	if !op.IsDir || op.Ops&(weir.OpRename|weir.OpDelete) == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mountRoot || p.way != nil && op.Object != "" && !p.way.dirs[op.Object] {
		return false // A mount goes where its directory goes, and is told of.
	}
	p.loseWayLocked()
	return true
}

// loseWay says that the way may have changed.
func (p *place) loseWay() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loseWayLocked()
}

// loseWayLocked is loseWay for who holds p.mu.
func (p *place) loseWayLocked() {
	p.strayed++
	if p.way != nil {
		close(p.way.lost)
		p.way = nil
	}
}

// findWay returns the way to the directory that a session has opened. It is nil if there is none, or if it cannot be told
// now: then, and when a directory is renamed while it is looked for, the next session looks again.
func (s *session) findWay() *way {
	p := s.u.place
	root, ok := s.keys.handle(s.root)
	p.mu.Lock()
	known, strayed, mounted := p.way, p.strayed, p.mountRoot
	p.mu.Unlock()
	if known != nil || mounted || !ok {
		return known
	}
	w, err := lookForWay(s.ctx, s.volume, s.u.r.sourcePath(s.rel))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || !w.dirs[root] || p.strayed != strayed || p.root != s.root {
		return nil
	}
	if p.way == nil {
		p.way = &w
	}
	return p.way
}

// lookForWay looks up the directories that lead to a path, on the mount that shows it.
func lookForWay(ctx context.Context, volume weir.Volume, path string) (w way, err error) {
	mounted := ""
	for _, m := range here(volume).Mounts {
		if inside(m.Point, path) && len(m.Point) > len(mounted) {
			mounted = m.Point
		}
	}
	names := strings.Split(relative(mounted, path), "/")
	dirs, err := lookNow(ctx, volume, mounted, func(top *tree.Dir) ([]tree.Object, error) { return lookups(top, names) })
	w = way{dirs: make(map[weir.Handle]bool), lost: make(chan struct{})}
	for _, dir := range dirs {
		w.dirs[dir.Handle] = true
	}
	return w, err
}
