package volume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/sys/probe"
)

// facts are what a look at the volume itself tells, once.
type facts struct {
	identity    weir.Identity
	label       string
	handles     bool
	btrfsID     string
	sight       weir.Sight
	sightReason string
	hidden      bool // none of its mounts could be reached, so that nothing else is known
}

// examination is one look at the volume.
type examination struct {
	once  sync.Once
	done  chan struct{} // closed when facts is set
	facts facts
}

func newExamination() *examination { return &examination{done: make(chan struct{})} }

// finish sets what was found out.
func (x *examination) finish(f facts) {
	x.facts = f
	close(x.done)
}

// wasHidden reports whether the look was in vain since no mount of the volume could be reached.
func (x *examination) wasHidden() bool {
	select {
	case <-x.done:
		return x.facts.hidden
	default:
		return false
	}
}

// patience is how long a volume may take to answer.
const patience = time.Second

// waitFacts examines the volume if nobody has, and waits for the result: not for that of a volume that only other
// namespaces show, of which there may be hundreds at once. Whoever was told of it is told when there is more to know.
func (v *volume) waitFacts() facts {
	v.w.mu.Lock()
	x, slow, away := v.examination, v.slow, v.w.model.away(v.id)
	v.w.mu.Unlock()
	v.start(x)
	if !slow && !away {
		x.wait()
	}
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	select {
	case <-x.done:
		return x.facts
	default:
	}
	v.slow = true // answered sees it: done is closed before it takes mu
	if away {
		return facts{sight: weir.SightNothing, sightReason: "it has not been looked at yet"}
	}
	return facts{sight: weir.SightNothing, sightReason: weir.SilentReason}
}

// wait waits for the end of the examination, but not for ever.
func (x *examination) wait() {
	select {
	case <-x.done:
	case <-time.After(patience):
	}
}

// examined waits for what is found out about the volume wherever it is.
func (v *volume) examined() facts {
	v.w.mu.Lock()
	x := v.examination
	v.w.mu.Unlock()
	v.start(x)
	x.wait()
	return v.waitFacts()
}

func (v *volume) start(x *examination) {
	x.once.Do(func() {
		if pseudo(v.fsType) {
			x.finish(facts{sight: weir.SightNothing, sightReason: "a pseudo file system holds no data to keep"})
			return
		}
		err := v.w.inBackground(question{of: v.source}, func() {
			x.finish(v.examine())
			v.answered()
		})
		if err != nil {
			x.finish(unknown(err))
		}
	})
}

// answered tells whoever was told nothing of a slow volume that there is more to know now.
func (v *volume) answered() {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	if v.slow && !v.gone {
		v.w.queueLocked(notice{kind: tellChanged, volume: v})
	}
	v.slow = false
	v.w.queueLocked(v.w.uncoveredLocked()...) // What hid it may have left meanwhile.
}

// unreached notes that no mount of a volume could be reached: whoever tried is told when that is possible again.
func (w *Watcher) unreached(v *volume) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.hidden = true
	w.queueLocked(w.uncoveredLocked()...) // What hid it may have left meanwhile.
}

// uncoveredLocked returns what is to be told of volumes that were hidden when somebody tried to reach them and are no longer:
// no mount of theirs has changed. Those that were hidden when they were examined are examined anew. mu is held.
func (w *Watcher) uncoveredLocked() (notices []notice) {
	for _, in := range w.model.present {
		v := w.volumes[in.id]
		unknown := v.examination.wasHidden()
		if len(in.mounts) == 0 || !unknown && !v.hidden || len(candidates(w.model.entries(), v.shownBy)) == 0 {
			continue
		}
		if v.hidden = false; unknown {
			v.examination = newExamination()
		}
		notices = append(notices, notice{kind: tellChanged, volume: v})
	}
	return notices
}

func unknown(err error) facts {
	reason, far := "it could not be looked at: "+err.Error(), weir.OutOfReach("")
	switch {
	case errors.As(err, &far):
		reason = far.Error()
	case errors.Is(err, syscall.EPERM):
		reason = "looking at a volume needs CAP_SYS_ADMIN"
	}
	return facts{sight: weir.SightNothing, sightReason: reason, hidden: far != ""}
}

// examine looks at the volume through a clone that it opens and closes.
func (v *volume) examine() facts {
	dir, err := v.openAnywhere(context.Background())
	if err != nil {
		return v.unreached(err)
	}
	defer dir.Close()
	f := v.examineAt(dir)
	// What was opened is this volume only if this volume is still there.
	if err := v.w.look(); err != nil || v.isGone() {
		return v.unreached(err)
	}
	return f
}

// openAnywhere opens a directory of the volume wherever it is shown.
func (v *volume) openAnywhere(ctx context.Context) (*fd.FD, error) {
	table, err := v.w.seen()
	if err != nil {
		return nil, err
	}
	dir, err := v.w.openVolume(ctx, v, table, mount.Readable)
	if err != nil {
		// A directory above the mount point may have been renamed since it was seen.
		if table, err = v.w.fresh(); err == nil {
			dir, err = v.w.openVolume(ctx, v, table, mount.Readable)
		}
	}
	if err == nil {
		v.w.guardEntered(v, dir)
	}
	return dir, err
}

func (v *volume) isGone() bool {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	return v.gone
}

// unreached says why nothing is known.
func (v *volume) unreached(err error) facts {
	switch {
	case v.isGone():
		return facts{sightReason: "it left before it could be looked at"}
	case errors.Is(err, syscall.ENOTDIR):
		return facts{sight: weir.SightScan, sightReason: "only single files of it are mounted"}
	}
	return unknown(err)
}

func (v *volume) examineAt(dir *fd.FD) facts {
	f := facts{label: mount.Label(dir, v.device), handles: !fuse(v.fsType) && mount.OpensHandles(dir)}
	f.identity.UUID = mount.UUID(dir, v.fsType, v.device)
	if v.btrfs() {
		f.btrfsID = mount.BtrfsID(dir)
	}
	root := mount.Root(dir, v.fsType)
	if root == nil {
		root = dir
	} else {
		defer root.Close()
	}
	// FUSE gives every root the same one.
	if h, err := handle.Of(root.Int()); err == nil && !fuse(v.fsType) {
		f.identity.RootHandle = weir.Handle(h)
	}
	f.identity.FSID, _ = mount.FSID(root) // each btrfs subvolume has one of its own
	f.identity.RootBirth = mount.Birth(root)
	f.sight, f.sightReason = v.w.sightOf(v.fsType, f.handles, dir)
	return f
}

// sightOf tries what can be seen of the changes on the volume of dir.
func (w *Watcher) sightOf(fsType string, handles bool, dir *fd.FD) (weir.Sight, string) {
	err := w.tryMark(dir)
	if fsType == "btrfs" && errors.Is(err, syscall.EXDEV) {
		err = nil // the top-level subvolume takes the mark for all of them
	}
	switch {
	case err == nil && shared(fsType):
		return weir.SightLocal, "changes that other machines make are not reported; they are found by scans"
	case err == nil && !handles:
		return weir.SightScan, "file handles cannot be opened"
	case err == nil:
		return weir.SightFull, ""
	}
	return weir.SightScan, refusal(fsType, err)
}

// refusal says why a superblock takes no mark.
func refusal(fsType string, err error) string {
	switch {
	case fsType == "overlay" && errors.Is(err, syscall.EOPNOTSUPP):
		return "an overlay has file handles only if it is mounted with index=on,nfs_export=on"
	case errors.Is(err, syscall.EOPNOTSUPP):
		return "the file system has no file handles that can be opened"
	case errors.Is(err, syscall.ENODEV):
		return "the file system has no identifier (its f_fsid is zero)"
	case errors.Is(err, syscall.EXDEV):
		return "the mounted directory has another identifier than its superblock"
	case errors.Is(err, syscall.EPERM):
		return "marks on file systems need CAP_SYS_ADMIN"
	}
	return fmt.Sprintf("the file system takes no fanotify mark: %v", err)
}

// tryMark tries a mark on a superblock: in a group that is kept while Run runs, in one of its own otherwise.
func (w *Watcher) tryMark(dir *fd.FD) error {
	marks, kept, err := w.acquireMarks()
	if err != nil {
		return err
	}
	if !kept {
		defer marks.Close()
	}
	return marks.Try(dir)
}

func (w *Watcher) acquireMarks() (marks *probe.Marks, kept bool, err error) {
	w.mu.Lock()
	marks = w.marks
	w.mu.Unlock()
	if marks != nil {
		return marks, true, nil
	}
	if marks, err = probe.NewMarks(); err != nil {
		return nil, false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.marks == nil && w.state == running {
		w.marks = marks
		return marks, true, nil
	}
	return marks, false, nil
}
