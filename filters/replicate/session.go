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

// stopped reports whether weir is being stopped.
func (s *session) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
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
