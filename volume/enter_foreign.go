package volume

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
)

var (
	errOutOfSight = weir.OutOfReach("it is shown only by mount namespaces that weir cannot enter")
	errBehind     = weir.OutOfReach("only other mount namespaces show it, and a process or a server answers for it, or for what it is mounted on: it is not asked")
)

// behindOthers tells whether a walk to a mount would be at the mercy of somebody whom only its namespace knows: a process
// or a server answers for a file system on the way.
func behindOthers(table []mount.Entry, e mount.Entry) bool {
	byID := make(map[uint64]mount.Entry, len(table))
	for _, other := range table {
		byID[other.ID] = other
	}
	for range table {
		if fuse(e.FSType) || shared(e.FSType) {
			return true
		}
		parent, known := byID[e.ParentID]
		if !known || parent.ID == e.ID {
			break
		}
		e = parent
	}
	return false
}

// enterLimit bounds how long a volume that does not answer keeps others from being entered.
const enterLimit = 5 * time.Second

// openForeign opens a directory that shows v in another namespace than weir's.
func (w *Watcher) openForeign(ctx context.Context, v *volume, mode mount.Mode) (*fd.FD, error) {
	w.mu.Lock()
	var shown []foreign
	if in := w.model.find(v.id); in != nil {
		shown = slices.Clone(in.foreign)
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, enterLimit)
	defer cancel()
	select {
	case w.entering <- struct{}{}:
		defer func() { <-w.entering }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	last := error(&weir.Error{Op: "reach a volume", Kind: weir.KindAbsent, Err: errHidden})
	tried := map[mount.Namespace]bool{}
	for _, f := range shown {
		if tried[f.namespace] || len(tried) == tries {
			continue
		}
		tried[f.namespace] = true
		root, err := w.within(ctx, question{of: v.source}, func() (*fd.FD, error) { return w.openIn(ctx, f.namespace, v, shown, mode) })
		if err == nil || ctx.Err() != nil {
			return root, err
		}
		last = err
	}
	if errors.Is(last, syscall.EPERM) {
		last = &weir.Error{Op: "reach a volume", Kind: weir.KindUnsupported, Err: errors.Join(errOutOfSight, last)}
	}
	return nil, last
}

// guardEntered places a sentinel on a volume that has been entered. The kernel asks no volume for that.
func (w *Watcher) guardEntered(v *volume, root *fd.FD) {
	w.looking.Lock()
	defer w.looking.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.eyes == nil || w.eyes.sentinels == nil || v.guarded || v.gone {
		return
	}
	v.guarded = w.eyes.sentinels.Place(root) == nil
}

// openIn opens a directory that shows v in one namespace, by the mounts that it has now. shown are those that v is
// known to have: where one of them is there afterwards too, so is v, and nothing else has its device number.
func (w *Watcher) openIn(
	ctx context.Context, namespace mount.Namespace, v *volume, shown []foreign, mode mount.Mode,
) (*fd.FD, error) {
	file, err := mount.OpenNamespace(namespace)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	table, err := w.tableOf(namespace)
	if err != nil {
		return nil, err
	}
	hidden := errHidden
	known := candidates(table, func(e mount.Entry) bool {
		mine := e.Device == v.device && slices.ContainsFunc(shown, func(f foreign) bool { return f.ID == e.ID })
		if mine && behindOthers(table, e) {
			hidden = errBehind
			return false
		}
		return mine
	})
	if len(known) == 0 {
		return nil, &weir.Error{Op: "reach a volume", Kind: weir.KindAbsent, Err: hidden}
	}
	return v.openFirst(ctx, known, func(m mount.Entry) (root *fd.FD, err error) {
		err = mount.In(file, func() (err error) {
			root, err = enter(table, m.Point, mode, follow)
			return err
		})
		if err == nil && namespace.ID != 0 {
			_, err = mount.Stat(namespace.ID, m.ID)
		}
		if err != nil && root != nil {
			return nil, errors.Join(err, root.Close())
		}
		return root, err
	})
}

// tableOf returns the mounts of another namespace.
func (w *Watcher) tableOf(namespace mount.Namespace) ([]mount.Entry, error) {
	if namespace.ID != 0 {
		return readUnique(namespace.ID)
	}
	inhabited, _, err := mount.InhabitedNamespaces()
	if err != nil {
		return nil, err
	}
	for _, in := range inhabited {
		if in.Inode == namespace.Inode {
			return mount.ReadOf(in.PID)
		}
	}
	return nil, syscall.ENOENT
}
