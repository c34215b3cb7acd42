package volume

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
)

// elsewhere is what is known of the mount namespaces beside weir's own. It is guarded by Watcher.looking.
type elsewhere struct {
	spaces  map[uint64]*space // by number: see numberOf
	round   uint64            // counts the looks at which namespaces there are
	refused error             // why namespaces that no process is in are not found
	hidden  int               // processes that do not tell theirs
	stirred bool              // mounts have come or gone since the last round
}

// space is one of them.
type space struct {
	mount.Namespace
	pid    int    // a process in it, where namespaces have no list
	round  uint64 // in which it was there
	marked bool   // its mount events are told
	told   bool   // its mounts are known, and kept up by events
	blind  error  // why its mounts cannot be listed
}

// numberOf is the number by which a namespace is known: the one that is never reused, where there is one.
func numberOf(n mount.Namespace) uint64 {
	if n.ID != 0 {
		return n.ID
	}
	return n.Inode
}

// distrust has the mounts of every namespace listed again.
func (e *elsewhere) distrust() {
	for _, s := range e.spaces {
		s.told = false
	}
}

// lookElsewhere brings what is known of other namespaces up to now. It tells whether one of them has come or gone, or
// mounts have moved in any that was looked at since the last time. looking is held; rest is called between two
// namespaces, where others may have it.
func (w *Watcher) lookElsewhere(listed bool, rest func()) (moved bool) {
	e := &w.elsewhere
	e.round++
	round, before := e.round, len(e.spaces)
	w.buryDead()
	w.findSpaces()
	var lost, new []*space
	for number, s := range e.spaces {
		switch {
		case s.round < round:
			delete(e.spaces, number)
			lost = append(lost, s)
		case !s.told:
			new = append(new, s)
		}
	}
	if len(lost)+len(new) > 0 {
		known := w.model.byNamespace()
		for _, s := range lost { // first: their device numbers are given to others
			w.dropForeign(known[s.Namespace])
		}
		for _, s := range new {
			rest()
			w.reread(s, known[s.Namespace], listed)
		}
	}
	moved = e.stirred || len(lost) > 0 || before != len(e.spaces)
	e.stirred = false
	return moved
}

// restless lets nobody else look in between.
func restless() {}

// findSpaces notes which namespaces there are, and marks those that are new. One is marked before it is listed, and
// listed before it is told that it is known.
func (w *Watcher) findSpaces() {
	e := &w.elsewhere
	e.refused, e.hidden = errors.ErrUnsupported, 0
	if w.unique() {
		e.refused = mount.WalkNamespaces(func(id uint64, file *fd.FD) error {
			if s := e.spaces[id]; s != nil {
				s.round = e.round
				return nil
			}
			return w.meetSpace(file, 0)
		})
	}
	if e.refused == nil {
		return
	}
	inhabited, hidden, err := mount.InhabitedNamespaces()
	if err != nil {
		w.log.Debug("other mount namespaces cannot be found", "error", err)
	}
	e.hidden = hidden
	for _, in := range inhabited {
		if err := w.meetInhabited(in); err != nil {
			w.log.Debug("a mount namespace cannot be looked at", "namespace", in.Inode, "error", err)
		}
	}
}

// meetInhabited meets the namespace of a process. Its inode number may be that of another one since it was met last, so
// that it is opened where it has another number, too.
func (w *Watcher) meetInhabited(in mount.Inhabited) error {
	if !w.unique() {
		w.note(mount.Namespace{Inode: in.Inode}, in.PID)
		return nil
	}
	file, err := mount.OpenNamespaceOf(in.PID)
	if err != nil {
		return err
	}
	defer file.Close()
	return w.meetSpace(file, in.PID)
}

// meetSpace notes a namespace by its file.
func (w *Watcher) meetSpace(file *fd.FD, pid int) error {
	namespace, err := mount.DescribeNamespace(file)
	if err != nil {
		return err
	}
	s := w.note(namespace, pid)
	if w.eyes == nil || w.eyes.events == nil || s.marked {
		return nil
	}
	if err := w.eyes.events.Mark(file); err != nil {
		w.log.Debug("a mount namespace tells no events; it is polled", "namespace", namespace.Inode, "error", err)
		return nil
	}
	s.marked = true
	return nil
}

// note returns what is known of a namespace that is there.
func (w *Watcher) note(namespace mount.Namespace, pid int) *space {
	e := &w.elsewhere
	s := e.spaces[numberOf(namespace)]
	if s == nil {
		s = &space{Namespace: namespace}
		if e.spaces == nil {
			e.spaces = map[uint64]*space{}
		}
		e.spaces[numberOf(namespace)] = s
	}
	s.pid, s.round = pid, e.round
	return s
}

// unique tells whether mounts have ids that are never reused.
func (w *Watcher) unique() bool {
	if w.eyes != nil {
		return w.eyes.unique
	}
	return !w.fallback && mount.Complete()
}

// reread compares the mounts of a namespace with those that are known. Mounts of weir's own are looked at in between:
// those that are there then have been there together with what is found here after that.
func (w *Watcher) reread(s *space, known []foreign, listed bool) {
	list := w.listUnique
	if !w.unique() {
		list = w.listReusable
	}
	s.blind = list(s, known, listed)
	s.told = s.blind == nil && s.marked
	if s.blind != nil {
		w.log.Debug("the mounts of a namespace cannot be listed", "namespace", s.Inode, "error", s.blind)
		w.dropForeign(known)
	}
}

func (w *Watcher) listUnique(s *space, known []foreign, listed bool) error {
	ids, err := mount.List(s.ID)
	if err != nil {
		return err
	}
	if err := w.lookOwn(); err != nil {
		return err
	}
	there := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	w.dropForeign(slices.DeleteFunc(slices.Clone(known), func(f foreign) bool { return there[f.ID] }))
	for _, id := range ids {
		if w.model.foreign[id] != nil {
			continue
		}
		entry, err := mount.Stat(s.ID, id)
		switch {
		case err == nil:
			w.attachForeign(foreign{entry, s.Namespace}, listed)
		case !gone(err):
			return err
		}
	}
	return nil
}

func (w *Watcher) listReusable(s *space, known []foreign, listed bool) error {
	entries, err := mount.ReadOf(s.pid)
	if err != nil {
		return err
	}
	if err := w.lookOwn(); err != nil {
		return err
	}
	now := make(map[uint64]mount.Entry, len(entries))
	for _, e := range entries {
		now[e.ID] = e
	}
	w.dropForeign(slices.DeleteFunc(slices.Clone(known), func(f foreign) bool {
		e, there := now[f.ID]
		return there && compare(f.Entry, e) != other
	}))
	same := make(map[foreign]bool, len(known))
	for _, f := range known {
		same[f] = true
	}
	for _, e := range entries {
		if f := (foreign{e, s.Namespace}); !same[f] {
			w.attachForeign(f, listed)
		}
	}
	return nil
}

// lookOwn brings the mounts of weir's own namespace up to now. looking is held.
func (w *Watcher) lookOwn() error {
	switch {
	case w.eyes == nil:
		return nil
	case w.eyes.events != nil:
		return w.drainLocked()
	}
	changed, err := w.eyes.table.Changed()
	if err != nil || !changed {
		return err
	}
	return w.readLocked(false)
}

func (w *Watcher) attachForeign(f foreign, listed bool) {
	w.prune(f.Device)
	w.applyForeign(func() []change {
		changes := w.model.attachForeign(f, listed)
		w.elsewhere.stirred = w.elsewhere.stirred || len(changes) > 0
		return changes
	})
}

func (w *Watcher) dropForeign(mounts []foreign) {
	for _, f := range mounts {
		w.elsewhere.stirred = true
		w.applyForeign(func() []change { return w.model.detachForeign(f.ID) })
	}
}

// prune proves that a volume which only other namespaces show is there, or takes it out: a namespace that dies tells
// nothing of its mounts, and after that its volumes' device numbers are given to others. looking is held.
func (w *Watcher) prune(device mount.Device) {
	if in := w.model.onDevice(device); in != nil && len(in.mounts) == 0 {
		w.pruneOne(in)
	}
}

// pruneOne takes out mounts of other namespaces that are no more, up to the first that is there.
func (w *Watcher) pruneOne(in *incarnation) {
	for w.unique() && len(in.foreign) > 0 {
		f := in.foreign[0]
		if _, err := mount.Stat(f.namespace.ID, f.ID); !gone(err) {
			return
		}
		w.applyForeign(func() []change { return w.model.detachForeign(f.ID) })
	}
}

// buryDead takes out the volumes that only other namespaces have shown and whose sentinels say that they are no more.
func (w *Watcher) buryDead() {
	if w.unique() {
		return
	}
	verdicts := w.verdicts()
	for _, in := range slices.Clone(w.model.present) {
		if len(in.mounts) == 0 && verdicts(in.id) == dead {
			w.apply(func() []change { return []change{w.model.leave(in)} })
		}
	}
}

// whereabouts finds the namespaces of mounts whose events do not name them. It is made for one batch of events.
type whereabouts struct {
	spaces map[uint64]*space
	last   *space            // that of the one before
	all    map[uint64]*space // by mount; nil until needed
}

// find looks at a mount that is not in weir's own namespace. None is found of one that has left.
func (at *whereabouts) find(id uint64) (f foreign, found bool) {
	if at.last != nil {
		if entry, err := mount.Stat(at.last.ID, id); err == nil {
			return foreign{entry, at.last.Namespace}, true
		}
	}
	if at.all == nil {
		at.all = map[uint64]*space{}
		for _, s := range at.spaces {
			ids, err := mount.List(s.ID)
			if err != nil {
				continue // it is dying
			}
			for _, id := range ids {
				at.all[id] = s
			}
		}
	}
	s := at.all[id]
	if s == nil {
		return f, false
	}
	entry, err := mount.Stat(s.ID, id)
	at.last = s
	return foreign{entry, s.Namespace}, err == nil
}

// OutOfSight says in full sentences which mount namespaces the last look could not reach. Volumes that only those show
// are not known.
func (w *Watcher) OutOfSight() []string {
	w.looking.Lock()
	defer w.looking.Unlock()
	return w.elsewhere.outOfSight()
}

func (e *elsewhere) outOfSight() (sentences []string) {
	switch {
	case errors.Is(e.refused, syscall.EPERM):
		sentences = append(sentences, "Mount namespaces that no process in sight is in are not found: "+
			"run weir with CAP_SYS_ADMIN in the initial pid and user namespaces.")
	case e.refused != nil:
		sentences = append(sentences, "Mount namespaces that no process is in are not found: that takes Linux 6.13.")
	}
	if e.hidden > 0 {
		sentences = append(sentences, fmt.Sprintf("The mount namespaces of %d processes are not told: "+
			"run weir with CAP_SYS_PTRACE.", e.hidden))
	}
	for _, s := range e.spaces {
		if s.blind != nil {
			sentences = append(sentences, fmt.Sprintf("The mounts of namespace %d cannot be listed: %v.", s.Inode, s.blind))
		}
	}
	slices.Sort(sentences)
	return sentences
}
