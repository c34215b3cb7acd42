package volume

import (
	"errors"
	"log/slog"
	"syscall"

	"github.com/weirfs/weir/internal/sys/mount"
)

// eyes is what a running Watcher has open to look at the kernel: nothing of it is on a volume.
type eyes struct {
	events    *mount.Events    // nil where mounts are polled
	unique    bool             // whether ids are never reused
	table     *mount.Table     // to look whether it has changed, and to read it
	poll      *mount.Table     // to wait for changes: each open file remembers by itself what it has told
	sentinels *mount.Sentinels // nil if no group could be had
	pending   []mount.Event    // buffer
}

func openEyes(fallback bool, log *slog.Logger) (*eyes, error) {
	e := &eyes{unique: !fallback && mount.Complete()}
	var err1, err2 error
	e.table, err1 = mount.OpenTable()
	e.poll, err2 = mount.OpenTable()
	if err := errors.Join(err1, err2); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if e.unique {
		e.events = subscribe(log)
	}
	switch sentinels, err := mount.NewSentinels(); {
	case err == nil:
		e.sentinels = sentinels
	case e.events == nil:
		log.Warn("a volume that is unmounted and mounted again between two looks may be taken for the same", "error", err)
	default:
		log.Warn("volumes that live on after they were unmounted are not listed", "error", err)
	}
	return e, nil
}

// subscribe returns a marked group of mount events, or nil where there is none to be had.
func subscribe(log *slog.Logger) *mount.Events {
	events, err := mount.NewEvents()
	if err == nil {
		if err = events.MarkOwn(); err == nil {
			return events
		}
		_ = events.Close()
	}
	if !errors.Is(err, syscall.EINVAL) {
		log.Warn("no mount events; mounts are polled", "error", err)
	}
	return nil
}

// Close lets go of what is open.
func (e *eyes) Close() error {
	var errs []error
	if e.events != nil {
		errs = append(errs, e.events.Close())
	}
	if e.sentinels != nil {
		errs = append(errs, e.sentinels.Close())
	}
	for _, table := range []*mount.Table{e.table, e.poll} {
		if table != nil {
			errs = append(errs, table.Close())
		}
	}
	return errors.Join(errs...)
}

// readTable returns the mounts of one moment.
func readTable(table *mount.Table, unique bool) ([]mount.Entry, error) {
	if unique {
		return readUnique(0)
	}
	// Where mounts come and go all the time the last try counts: the change that spoils it is told, and
	// looked at, afterwards.
	for tries := 8; ; tries-- {
		if _, err := table.Changed(); err != nil {
			return nil, err
		}
		entries, err := table.Read()
		if err != nil || tries == 0 {
			return entries, err
		}
		changed, err := table.Changed()
		if err != nil || !changed {
			return entries, err
		}
	}
}

// readUnique lists at one moment, then describes what is still there.
func readUnique(namespace uint64) ([]mount.Entry, error) {
	ids, err := mount.List(namespace)
	if err != nil {
		return nil, err
	}
	entries := make([]mount.Entry, 0, len(ids))
	for _, id := range ids {
		e, err := mount.Stat(namespace, id)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EPERM) {
			continue // gone meanwhile, or outside the root of the process
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}
