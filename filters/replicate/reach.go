package replicate

import (
	"errors"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

var errUnknownDir = errors.New("directory is not on the replica yet")

// targetDir returns the directory of that key on the target. It stays valid until the next dirs.trim or dirs.forget, which are
// called between two names.
func (s *session) targetDir(ix nodes, key weir.Handle) (*tree.Dir, error) {
	switch key {
	case s.root:
		return s.dstRoot, nil
	case replica.Parking:
		return s.dst.Parked, nil
	}
	if d := s.dirs.get(key); d != nil {
		return d, nil
	}
	d, err := s.openTargetDir(ix, key)
	if err == nil {
		s.dirs.put(key, d, 0)
	}
	return d, err
}

// openTargetDir opens a directory by way of the nearest one above it that is open, and keeps open those between them: a
// deep tree is gone through from one directory to the next, down and up.
func (s *session) openTargetDir(ix nodes, key weir.Handle) (*tree.Dir, error) {
	var way []step
	for ; key != s.root && key != replica.Parking && !s.dirs.has(key); key = way[len(way)-1].parent {
		n, known, err := ix.Get(key)
		if err != nil {
			return nil, err
		}
		if !known || len(n.Names) == 0 {
			return nil, errUnknownDir
		}
		way = append(way, step{key, n.Names[0].Parent, n.Names[0].Name})
	}
	if s.dst.Covered() {
		return s.openTargetDirShared(ix, way[0].key)
	}
	dir, err := s.targetDir(ix, key)
	for i := len(way) - 1; i >= 0 && err == nil; i-- {
		above := dir
		dir, err = above.OpenDir(way[i].name)
		if i+1 < len(way) && !s.dirs.has(way[i+1].key) {
			above.Close()
		}
		if err == nil && i > 0 && i < maxWay {
			s.dirs.put(way[i].key, dir, i)
		}
	}
	return dir, err
}

// step is one directory on the way to another.
type step struct {
	key, parent weir.Handle
	name        string
}

// openTargetDirShared opens a directory of the target without those that are kept open, for workers.
func (s *session) openTargetDirShared(ix nodes, key weir.Handle) (*tree.Dir, error) {
	if key == s.root {
		return tree.Open(s.dstRoot.FD())
	}
	path, parked, ok, err := names(ix, s.root, key)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errUnknownDir
	}
	if err := s.reachDir(parked, path); err != nil {
		return nil, err
	}
	top := s.dstRoot
	if parked {
		top = s.dst.Parked
	}
	return top.Walk(path)
}

// sourceDir opens the directory of that key on the source. The error is tree.ErrStale or fs.ErrNotExist
// if it is gone.
func (s *session) sourceDir(ix nodes, key weir.Handle) (*tree.Dir, error) {
	if key == s.root {
		return tree.Open(s.src.FD())
	}
	if h, ok := s.keys.handle(key); ok {
		return s.src.OpenHandle(h)
	}
	if s.keys.former(key) {
		return nil, tree.ErrStale
	}
	path, parked, ok, err := names(ix, s.root, key)
	if err != nil {
		return nil, err
	}
	if !ok || parked {
		return nil, errUnknownDir
	}
	return s.src.Walk(path)
}
