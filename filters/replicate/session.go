package replicate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// session is a unit's short hold on the source volume and on the target. It is used by the unit's
// goroutine and by the workers that this goroutine waits for.
type session struct {
	ctx    context.Context // ends when either volume leaves
	cancel context.CancelFunc
	stop   <-chan struct{} // closed when weir stops
	u      *unit
	keys   keys
	root   weir.Handle   // key of the place's root
	rel    string        // path of the place, for messages and rules
	volume weir.Volume   // of the source
	lost   chan struct{} // closed when something else may stand where the source was; nil if that is not known

	srcLease weir.Lease
	src      *tree.Dir
	dst      *target.Hold
	dstRoot  *tree.Dir // where the place's root is on the target
	dstPath  []string  // the names that lead there
	merge    bool

	tick      time.Duration // see tickOf
	noMapSign bool          // stores through a mapping move no time stamp on the source volume

	pair tree.Pair // source and target
	refs atomic.Int32
	dirs openDirs // of the target
}

const opSource = "open source"

var (
	errGone    = errors.New("volume is leaving")
	errHeld    = errors.New("held")
	errAbsent  = errors.New("source absent")
	errNoPoint = errors.New("the directory of its mount point is not on the target yet")
)

// open borrows both sides and proves that they are the ones that the index describes.
func (u *unit) open(ctx context.Context) (*session, error) {
	rel, volume, root := u.place.at()
	if volume == nil || u.place.isCovering() {
		return nil, &weir.Error{Op: opSource, Kind: weir.KindAbsent, Path: u.r.sourcePath(rel), Err: u.place.missing()}
	}
	s := &session{
		u: u, keys: u.place.keys(), root: root, rel: rel, volume: volume, stop: ctx.Done(),
	}
	s.refs.Store(1)
	s.ctx, s.cancel = context.WithCancel(ctx)
	if err := s.openSource(volume); err != nil {
		s.release()
		return nil, err
	}
	if way := s.findWay(); way != nil {
		s.lost = way.lost
	}
	if err := s.openTarget(); err != nil {
		s.release()
		return nil, err
	}
	u.r.background.Add(1)
	go func() {
		defer u.r.background.Done()
		select {
		case <-s.srcLease.Done():
		case <-s.dst.Done():
		case <-s.dst.Moved():
		case <-s.lost:
		case <-s.ctx.Done():
		}
		s.cancel()
	}()
	return s, nil
}

func (s *session) openSource(volume weir.Volume) error {
	path := s.u.r.sourcePath(s.rel)
	lease, err := volume.Borrow(s.ctx, path)
	if err != nil {
		return &weir.Error{Op: opSource, Kind: weir.KindOf(err), Path: path, Err: err}
	}
	s.srcLease = lease
	s.noMapSign, s.tick = leavesNoSign(volume), tickOf(volume, s.u.r.fineTimes)
	if s.src, err = tree.Open(lease.FD()); err != nil {
		return err
	}
	self, err := s.src.Self()
	if err != nil {
		return err
	}
	if s.keys.ofRoot(self) != s.root {
		s.u.r.astray(s.u.place, s.root)
		return &weir.Error{Op: opSource, Kind: weir.KindAbsent, Path: path, Err: errors.New("another directory stands in its place")}
	}
	s.u.place.mu.Lock()
	s.merge = s.u.place.merge
	s.u.place.mu.Unlock()
	return nil
}

func (s *session) openTarget() (err error) {
	if err := s.u.target.Aside(); err != nil {
		return err
	}
	if s.dst, err = s.u.target.Borrow(s.ctx, s.u.place.id); err != nil {
		return err
	}
	if s.u.place.parent == nil {
		s.dstRoot = s.dst.Root
		return nil
	}
	names, err := s.u.rootNames()
	if err != nil {
		return err
	}
	s.dstPath = names
	if err := s.reachDir(false, nil); err != nil {
		return &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: s.rel, Err: err}
	}
	s.dstRoot, err = s.dst.Root.Walk(names)
	if errors.Is(err, fs.ErrNotExist) {
		return &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: s.rel, Err: errNoPoint}
	}
	return err
}

// retain keeps the target open until letGo.
func (s *session) retain() { s.refs.Add(1) }

// release is called by who has opened the session: it gives the source back, so that a sync of the target does not
// hold an unmounted source, and the target when nobody retains it. Directories that the unit's goroutine kept open
// must be closed before.
func (s *session) release() {
	if s.src != nil {
		s.src.Close()
	}
	if s.srcLease != nil {
		s.srcLease.Close()
	}
	s.letGo()
}

// letGo gives the target back when the last holder has let go.
func (s *session) letGo() {
	if s.refs.Add(-1) == 0 {
		s.close()
	}
}

func (s *session) close() {
	s.cancel()
	s.dirs.forget()
	if s.dst != nil {
		if s.dstRoot != nil && s.dstRoot != s.dst.Root {
			s.dstRoot.Close()
		}
		s.dst.Close()
	}
}

// err tells that the session has ended, so that long work stops soon, and notes that it gets on.
func (s *session) err() error {
	s.u.moves()
	if s.ctx.Err() != nil {
		return errGone
	}
	return nil
}

// current reports whether the place still shows what the session has borrowed: a volume may be mounted over
// another one that stays.
func (s *session) current() bool {
	_, volume, root := s.u.place.at()
	return volume != nil && volume.ID() == s.volume.ID() && root == s.root
}

// broken reports whether an error is one of the whole target, so that going on makes no sense. A bad block of the
// source, or below one file of the target, gives the same errors: whether the target takes anything at all is tried.
func (s *session) broken(err error) bool {
	if !target.Broken(err) {
		return false
	}
	name := s.u.tempName()
	f, err := s.dst.Tmp.CreateTemp(name)
	if err != nil {
		return !target.Full(err)
	}
	f.Close()
	return s.dst.Tmp.Unlink(name) != nil
}

// nodes is what sessions read the replica's state through: the index, or a batch with its own writes.
type nodes interface {
	Get(key weir.Handle) (replica.Node, bool, error)
	Child(parent weir.Handle, name string) (weir.Handle, bool, error)
}

// names returns the components from the place's root on the replica to a directory, or ok false if the
// replica has no such directory in the tree.
func names(ix nodes, root, dir weir.Handle) (names []string, parked, ok bool, err error) {
	for dir != root {
		if dir == replica.Parking {
			reverse(names)
			return names, true, true, nil
		}
		n, known, err := ix.Get(dir)
		if err != nil || !known || len(n.Names) == 0 {
			return nil, false, false, err
		}
		names = append(names, n.Names[0].Name)
		dir = n.Names[0].Parent
	}
	reverse(names)
	return names, false, true, nil
}

func reverse(names []string) {
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		names[i], names[j] = names[j], names[i]
	}
}

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

// alive reports whether the source inode of that key still exists under some name on its volume.
func (s *session) alive(key weir.Handle) (bool, error) {
	h, ok := s.keys.handle(key)
	if !ok {
		return false, nil
	}
	o, err := s.src.Probe(h)
	if errors.Is(err, tree.ErrStale) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether a file lives on: %w", err)
	}
	return o.Nlink > 0, nil
}

// self is the name that stands for the root of a place, which has none in it.
const self = "."

// path is the path of a name relative to SOURCE, for messages and rules.
func (s *session) path(ix nodes, at replica.Name) string {
	path, _, _ := s.where(ix, at)
	return path
}

// where is path, and tells whether the name is in the parking, or its directory not known.
func (s *session) where(ix nodes, at replica.Name) (path string, parked, known bool) {
	list, parked, known, err := names(ix, s.root, at.Parent)
	known = known && err == nil
	path = s.rel
	switch {
	case !known:
		path = join(path, "?")
	case parked:
		path = target.ParkedPath(s.u.place.id) // On the target alone.
	}
	for _, name := range list {
		path = join(path, name)
	}
	if at.Name != self {
		path = join(path, at.Name)
	}
	return path, parked, known
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	if name == "" {
		return dir
	}
	return dir + "/" + name
}
