package replicate

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// Unreported tells which files of some volumes may change now without an event: true for those that a process
// maps shared and writable, false for those that change in another way, which moves their times.
type Unreported interface {
	Unreported(ctx context.Context, volumes []weir.Volume) (map[weir.VolumeID]map[weir.Handle]bool, error)
}

const (
	// mapInterval is how often mapped files are looked at, mapIntervalMax how often at least when there are
	// so many processes that listing what they map is dear: it may take one part in mapShare of the time. A
	// store that is under way during one look is seen by the next but one at the latest, and within 5 s.
	mapInterval    = 1500 * time.Millisecond
	mapIntervalMax = 2500 * time.Millisecond
	mapShare       = 300

	// maxWritten bounds how many files are remembered that somebody could write while they were copied.
	maxWritten = 1024

	// restless is how old a time stamp must be to prove that no store that it belongs to is still under way:
	// the kernel moves ctime at the beginning of the page fault that lets a store through.
	restless = time.Second
)

// leavesNoSign reports whether a store through a mapping moves no time stamp on the volume, ever: file systems
// that live in memory are not told when a page is about to be written.
func leavesNoSign(v weir.Volume) bool {
	switch v.Info().Identity.FSType {
	case "tmpfs", "devtmpfs", "ramfs", "hugetlbfs":
		return true
	}
	return false
}

// noteWritten remembers a file that somebody could write while it was copied: until it is copied while nobody
// can, its times are looked at as if it were mapped, since a mapping may come and go between two looks.
func (u *unit) noteWritten(node *replica.Node) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case !node.Source.IsFile() || node.Flags&replica.Quiet != 0:
		delete(u.written, node.Key)
	case len(u.written) < maxWritten:
		if u.written == nil {
			u.written = make(map[weir.Handle]struct{})
		}
		u.written[node.Key] = struct{}{}
	}
}

// mapWatch looks at files that change without an event. It belongs to one goroutine, except for what it hands
// to the comparison of contents.
type mapWatch struct {
	r      *Replicator
	before map[*place]map[weir.Handle]bool // keys of what was mapped at the last look
	failed bool                            // the last listing did, and that was said

	comparing atomic.Bool              // a comparison is under way; it owns due
	due       map[comparison]time.Time // when the contents are compared again
}

// comparison is one file of a volume on which stores leave no sign, with one of its replicas.
type comparison struct {
	u   *unit
	key weir.Handle
}

// followMapped looks at mapped files until ctx ends.
func (r *Replicator) followMapped(ctx context.Context) {
	if r.options.Unreported == nil {
		return
	}
	w := &mapWatch{r: r, before: make(map[*place]map[weir.Handle]bool)}
	timer := time.NewTimer(mapInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(min(max(mapInterval, mapShare*w.look(ctx)), mapIntervalMax))
		}
	}
}

// look looks once, in all places, and returns how long it took to list what is mapped.
func (w *mapWatch) look(ctx context.Context) time.Duration {
	places, volumes := w.followed()
	if len(places) == 0 {
		clear(w.before)
		return 0
	}
	start := time.Now()
	found, err := w.list(ctx, volumes)
	took := time.Since(start)
	for p := range w.before {
		if places[p] == nil {
			delete(w.before, p)
		}
	}
	var compare []comparison
	for p, volume := range places {
		mapped := w.before[p]
		if err == nil {
			mapped = keyed(p.keys(), found[volume.ID()])
		}
		compare = append(compare, w.place(ctx, p, volume, mapped)...)
		w.before[p] = mapped
	}
	w.compare(ctx, compare)
	return took
}

// followed returns the places that can be looked at by handle, with their volumes.
func (w *mapWatch) followed() (places map[*place]weir.Volume, volumes []weir.Volume) {
	places = make(map[*place]weir.Volume)
	for _, p := range w.r.allPlaces() {
		if _, volume, _ := p.at(); volume != nil && volume.Info().Handles {
			places[p] = volume
			volumes = append(volumes, volume)
		}
	}
	return places, volumes
}

// listPatience is how long a listing may take before it is given up for this time.
const listPatience = 2 * time.Second

func (w *mapWatch) list(ctx context.Context, volumes []weir.Volume) (map[weir.VolumeID]map[weir.Handle]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	found, err := w.r.options.Unreported.Unreported(ctx, volumes)
	if err != nil && !w.failed && !errors.Is(err, context.Canceled) {
		w.r.log.Warn("it cannot be seen which files are mapped; stores through mappings are seen when they end", "error", err)
	}
	w.failed = err != nil
	return found, err
}

func keyed(k keys, handles map[weir.Handle]bool) map[weir.Handle]bool {
	list := make(map[weir.Handle]bool, len(handles))
	for h, mapped := range handles {
		list[k.ofHandle(h)] = mapped
	}
	return list
}

// place looks at what is mapped in one place now, and at what no longer is. It returns what has to be compared.
func (w *mapWatch) place(ctx context.Context, p *place, volume weir.Volume, mapped map[weir.Handle]bool) (compare []comparison) {
	source := &borrowed{r: w.r, p: p, volume: volume}
	defer source.close()
	noSign := leavesNoSign(volume)
	for _, u := range w.r.unitsOf(p) {
		for key, was := range w.before[p] {
			if now, still := mapped[key]; !still || was && !now {
				u.suspect(key) // The last stores may have come after the last look.
			}
		}
		for key, byProcess := range mapped {
			if u.unseen(ctx, source, key) && byProcess && noSign {
				compare = append(compare, comparison{u, key})
			}
		}
		for _, key := range u.writtenKeys(mapped) {
			u.unseen(ctx, source, key)
		}
	}
	return compare
}

// writtenKeys returns the files that somebody could write when they were copied, except those that are mapped.
func (u *unit) writtenKeys(except map[weir.Handle]bool) (keys []weir.Handle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range u.written {
		if _, ok := except[key]; !ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// unseen compares the times of a file with those that it had when it was copied, and has it looked at if they
// differ or prove nothing. equal reports that they agree and prove what times can prove.
func (u *unit) unseen(ctx context.Context, source *borrowed, key weir.Handle) (equal bool) {
	node, known, err := u.ix.Get(key)
	if err != nil || !known || !node.Source.IsFile() {
		u.mu.Lock()
		delete(u.written, key)
		u.mu.Unlock()
		return false
	}
	now, ok := source.probe(ctx, key)
	if !ok {
		return false
	}
	if now.Mtime != node.Source.Mtime || now.Ctime != node.Source.Ctime || now.Size != node.Source.Size ||
		node.Flags&(replica.Racy|replica.Touched) != 0 && !isRestless(node.Source.Ctime) {
		u.suspectNode(node)
		return false
	}
	return true
}

// isRestless reports whether a store that has moved ctime may still be under way. A time to come says nothing.
func isRestless(ctime replica.Time) bool {
	age := time.Since(ctime.Go())
	return age >= 0 && age < restless
}

// suspect has the content of a file looked at, whatever its times say.
func (u *unit) suspect(key weir.Handle) {
	if node, known, err := u.ix.Get(key); err == nil && known {
		u.suspectNode(node)
	}
}

func (u *unit) suspectNode(node replica.Node) {
	at, ok, err := anyName(u.ix, node)
	if err != nil || !ok || at.Parent == replica.Parking {
		return // What has no name in the tree is looked at when it gets one.
	}
	u.add(replica.Item{Object: node.Key, Ops: weir.OpModify})
	u.poke()
}

// borrowed is the source of one place, borrowed when it is first needed.
type borrowed struct {
	r      *Replicator
	p      *place
	volume weir.Volume
	tried  bool
	keys   keys
	lease  weir.Lease
	dir    *tree.Dir // nil if it cannot be had now
}

// probe looks at the file of that key. ok is false if that cannot be done now.
func (b *borrowed) probe(ctx context.Context, key weir.Handle) (o tree.Object, ok bool) {
	if !b.tried {
		b.tried = true
		b.open(ctx)
	}
	h, ok := b.keys.handle(key)
	if !ok || b.dir == nil {
		return o, false
	}
	select {
	case <-b.lease.Done():
		return o, false
	default:
	}
	o, err := b.dir.Probe(h)
	return o, err == nil
}

func (b *borrowed) open(ctx context.Context) {
	rel, volume, _ := b.p.at()
	if volume == nil || volume.ID() != b.volume.ID() {
		return
	}
	b.keys = b.p.keys()
	lease, err := volume.Borrow(ctx, b.r.sourcePath(rel))
	if err != nil {
		return
	}
	b.lease = lease
	b.dir, _ = tree.Open(lease.FD()) // Without it nothing is probed; the unit's own session will say why.
}

func (b *borrowed) close() {
	if b.dir != nil {
		b.dir.Close()
	}
	if b.lease != nil {
		b.lease.Close()
	}
}

// compare has the contents of files compared with those of their replicas, beside the looks, since that takes as
// long as the files are large. Each is compared at intervals of ten times what it took.
func (w *mapWatch) compare(ctx context.Context, list []comparison) {
	if len(list) == 0 || !w.comparing.CompareAndSwap(false, true) {
		return
	}
	w.r.background.Go(func() {
		defer w.comparing.Store(false)
		due := make(map[comparison]time.Time)
		for _, c := range list {
			due[c] = w.due[c]
			if start := time.Now(); start.After(due[c]) && ctx.Err() == nil {
				c.run(ctx)
				due[c] = time.Now().Add(replica.Settle(time.Since(start)))
			}
		}
		w.due = due
	})
}

// run compares one file with its replica, and has it looked at if they differ.
func (c comparison) run(ctx context.Context) {
	node, known, err := c.u.ix.Get(c.key)
	if err != nil || !known {
		return
	}
	at, ok, err := anyName(c.u.ix, node)
	if err != nil || !ok || at.Parent == replica.Parking {
		return
	}
	s, err := c.u.open(ctx)
	if err != nil {
		return // The unit finds out for itself, and tells.
	}
	defer s.release()
	same, err := s.sameAs(c.key, at)
	if err == nil && !same || errors.Is(err, fs.ErrNotExist) {
		c.u.suspectNode(node)
	}
}

// sameAs reports whether a file has the content of its replica at a name.
func (s *session) sameAs(key weir.Handle, at replica.Name) (bool, error) {
	h, ok := s.keys.handle(key)
	if !ok {
		return false, tree.ErrStale
	}
	src, err := s.src.OpenFileHandle(h)
	if err != nil {
		return false, err
	}
	defer src.Close()
	dir, err := s.openTargetDirShared(s.u.ix, at.Parent)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	old, err := dir.OpenFile(at.Name)
	if err != nil {
		return false, err
	}
	defer old.Close()
	return tree.SameDataSlowly(s.ctx, src, old, s.u.comparing)
}
