package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// batch is a set of names that are looked at together and shown together. It belongs to the unit's
// goroutine.
type batch struct {
	u    *unit
	s    *session
	mode walkMode
	ix   *index.Batch // from show on

	finds   []*find
	next    int         // finds before it are staged
	opened  []*tree.Dir // of the source, closed at the end
	open    *tree.Dir   // the one of them that is left open
	touched map[weir.Handle]bool

	found map[weir.Handle]bool // what was looked at in it and is there; nil until it is asked for

	// Unknown directories whose uppermost is among the finds.
	resolving map[weir.Handle]bool

	grown    []weir.Handle // directories that are new on the replica and have to be walked
	parked   bool
	movedDir bool           // the paths of problems may be others
	pinned   bool           // a mount point was: the volume on it can go on
	strays   []replica.Name // on the target, known to nobody
	lists    []weir.Handle  // directories to compare when the batch is finished
	trees    []weir.Handle  // likewise, with all below them
}

func (u *unit) newBatch(s *session, mode walkMode) *batch {
	return &batch{u: u, s: s, mode: mode, touched: make(map[weir.Handle]bool), resolving: make(map[weir.Handle]bool)}
}

// add queues a name of a source directory, which stays open until finish.
func (b *batch) add(dir *tree.Dir, at replica.Name, ops weir.Ops) *find {
	f := &find{at: at, ops: ops, dir: dir, mode: b.mode}
	b.finds = append(b.finds, f)
	return f
}

// touch makes finish set the metadata of a directory.
func (b *batch) touch(dir weir.Handle) { b.touched[dir] = true }

// own makes finish close a source directory.
func (b *batch) own(d *tree.Dir) { b.opened = append(b.opened, d) }

// keepOpen makes finish leave one of its directories open, since the next batch goes on with it.
func (b *batch) keepOpen(d *tree.Dir) { b.open = d }

// closeDirs closes what the batch has open. It is for batches that are not finished.
func (b *batch) closeDirs() {
	for _, d := range b.opened {
		if d != b.open {
			d.Close()
		}
	}
}

// abandon gives back what the batch has made and opened, without showing anything.
func (b *batch) abandon() {
	b.discard()
	b.closeDirs()
}

// finish stages, syncs, shows and records what was added. After an error what was shown is recorded all
// the same; the caller makes the rest dirty again.
func (b *batch) finish() error {
	b.stage()
	return b.conclude()
}

// conclude is finish for a batch that has been staged. After an error the directories whose times its steps have
// moved are dirty.
func (b *batch) conclude() error {
	defer b.closeDirs()
	err := b.s.err()
	if err == nil && (len(b.finds) > 0 || len(b.touched) > 0 || len(b.strays) > 0) {
		err = b.commit()
	}
	b.discard()
	if err != nil {
		for key := range b.touched {
			b.u.add(replica.Item{Dir: key})
		}
	}
	for _, key := range b.grown {
		if !b.mode.descends {
			b.u.add(replica.Item{Dir: key, Tree: true})
		}
	}
	return err
}

// fewFiles is how many files are made durable one by one rather than with the whole target.
const fewFiles = 4

// commit makes the staged data durable, shows it and records it.
func (b *batch) commit() error {
	u := b.u
	gen := u.gen + 1
	intended, err := b.intend(gen)
	if err != nil {
		return err
	}
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	u.gen = gen
	err = b.show()
	if err == nil {
		err = b.asideStrays()
	}
	if err == nil {
		err = b.finishDirs()
	}
	idle := err == nil && !intended && !b.ix.Changed() && len(b.strays) == 0
	if recordErr := b.recordAll(gen); recordErr != nil {
		// What was shown is not in the index, and no stranger's: the intents tell, if they are kept.
		u.doubt(gen, false)
		u.scanWanted(scanRequest{audit: true, reason: "the index was not written"})
		return recordErr
	}
	if b.movedDir {
		u.movedDir()
	}
	if b.pinned {
		u.r.kick()
	}
	if b.parked {
		u.anyParked, u.reaped, u.reapAt = true, 0, time.Time{}
	}
	if !idle {
		u.barrier.due(b.s, gen)
	}
	return err
}

// recordAll writes what was shown into the index.
func (b *batch) recordAll(gen uint64) error {
	b.ix.Meta(metaGen, formatGen(gen))
	if err := b.u.saveBrake(b.ix); err != nil {
		return err
	}
	if err := b.ix.Commit(false); err != nil {
		return fmt.Errorf("record in the index: %w", err)
	}
	return nil
}

// together runs two functions side by side and joins their errors.
func together(f, g func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	err := g()
	return errors.Join(err, <-done)
}

// syncData makes the temporaries durable that are not yet.
func (b *batch) syncData() error {
	for _, f := range b.finds {
		if f.copied != nil && !f.copied.synced {
			start := time.Now()
			err := b.s.dst.Tmp.Syncfs()
			b.u.status.synced(time.Since(start))
			return err
		}
	}
	return nil
}

// show carries out what the finds call for: directories first, then other names, then absences, so that a
// node is found in its new place before its old one is looked at.
func (b *batch) show() error {
	for _, pass := range []func(*find) bool{
		func(f *find) bool { return !f.absent && f.object.IsDir() },
		func(f *find) bool { return !f.absent && !f.object.IsDir() },
		func(f *find) bool { return f.absent },
	} {
		for _, f := range b.finds {
			if f.skip || !pass(f) {
				if f.skip {
					b.u.resolved(f.at)
				}
				continue
			}
			if err := b.s.err(); err != nil {
				return err
			}
			b.s.dirs.trim()
			err := f.problem
			if err == nil {
				err = b.overtaken(f)
			}
			if err == nil {
				err = b.showOne(f)
			}
			if f.exists && (f.absent || errors.Is(err, errVanished)) {
				b.strays = append(b.strays, f.at)
			}
			if err == nil {
				err = b.settleProblem(f)
			}
			if err != nil && b.failed(f, err) {
				return err
			}
		}
	}
	return nil
}

// asideStrays sets aside what nobody knows, unless something else has its name by now.
func (b *batch) asideStrays() error {
	for _, at := range b.strays {
		if _, taken, err := b.ix.Child(at.Parent, at.Name); err != nil {
			return err
		} else if taken {
			continue
		}
		dir, err := b.s.targetDir(b.ix, at.Parent)
		if err == nil {
			err = ignoreAbsent(b.setAside(dir, at))
		}
		if err != nil && b.failed(&find{at: at}, err) {
			return err
		}
	}
	return nil
}

// failed notes what happened to one name and when to try again. It reports whether the whole target is
// in trouble, so that going on makes no sense.
func (b *batch) failed(f *find, err error) (stop bool) {
	if errors.Is(err, errGone) || b.s.err() != nil || b.s.broken(err) {
		return true
	}
	path, _, known := b.s.where(b.ix, f.at)
	if !known || errors.Is(err, errUnknownDir) {
		b.u.passedOver()
		return false // The directory could not be made; when it is, all of it is walked.
	}
	b.u.problem(path, f, err)
	return false
}

// discard removes the temporaries that were not shown.
func (b *batch) discard() {
	for _, f := range b.finds {
		if f.copied != nil && f.copied.temp != "" {
			if err := b.s.dst.Tmp.Unlink(f.copied.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
				b.u.r.log.Debug("temporary is left until the next start", "name", f.copied.temp, "error", err)
			}
			f.copied.temp = ""
		}
	}
}
