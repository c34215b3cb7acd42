package volume

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
)

// crowd is how many mounts are cloned at most to enter one of them: a microsecond each, and their
// superblocks are pinned for as long.
const crowd = 128

// enter opens path on a private clone of the mount that shows it by table, so that umount(2) of that mount
// cannot fail because of it. What is opened keeps the one mount of the clone that it is on, and nothing else.
// The table only says where to enter: that path was found on what the table says is to be checked afterwards.
func enter(table []mount.Entry, path string, mode mount.Mode, links linkRule) (*fd.FD, error) {
	tree, base, err := cloneAround(table, path)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return nil, err
	case err != nil:
		return enterHere(path, mode, links)
	}
	defer tree.Close()
	root, err := mount.OpenBelow(tree, strings.TrimPrefix(path[len(base):], "/"), mode)
	if errors.Is(err, syscall.ELOOP) && links == follow {
		return enterHere(path, mode, links)
	}
	return root, err
}

var errCrowd = errors.New("too many mounts to clone")

// cloneAround clones what leads to the mount that shows path. A mount that carries others cannot be unmounted
// before them, nor the root mount at all: these are cloned themselves, alone. Any other is cloned with the
// directory above its mount point.
func cloneAround(table []mount.Entry, path string) (tree *fd.FD, base string, err error) {
	m, ok := locate(table, path)
	if !ok || !isLeaf(table, m) {
		base = "/"
		if ok {
			base = m.Point
		}
		tree, err = mount.Clone(base)
		return tree, base, err
	}
	base = filepath.Dir(m.Point)
	if countBelow(table, base) > crowd {
		return nil, "", errCrowd
	}
	tree, err = mount.ClonePrivate(base)
	return tree, base, err
}

// isLeaf tells whether nothing is mounted on a mount, which is then not the root mount.
func isLeaf(table []mount.Entry, m mount.Entry) bool {
	return m.Point != "/" && !slices.ContainsFunc(table, func(e mount.Entry) bool {
		return e.ParentID == m.ID && e.ID != m.ID
	})
}

// linkRule says what a symbolic link in a path means.
type linkRule bool

const (
	follow linkRule = true
	refuse linkRule = false // ELOOP
)

// enterHere opens path on a clone of the one mount that shows it, or, if links are refused, on that mount
// itself. The lookup holds the mount for a few microseconds.
func enterHere(path string, mode mount.Mode, links linkRule) (*fd.FD, error) {
	if links == follow {
		return mount.OpenClone(path, mode)
	}
	top, err := mount.OpenRoot()
	if err != nil {
		return nil, err
	}
	defer top.Close()
	return mount.OpenBelow(top, strings.TrimPrefix(path, "/"), mode)
}

func countBelow(table []mount.Entry, path string) int {
	n := 0
	for _, e := range table {
		if below(path, e.Point) {
			n++
		}
	}
	return n
}

// opened is what a goroutine of within has got.
type opened struct {
	file *fd.FD
	err  error
}

// enterWithin is enter within ctx.
func (w *Watcher) enterWithin(
	ctx context.Context, table []mount.Entry, path string, mode mount.Mode, links linkRule,
) (*fd.FD, error) {
	return w.within(ctx, question{of: path}, func() (*fd.FD, error) { return enter(table, path, mode, links) })
}

// within opens something on a goroutine of its own: a volume that hangs holds that one, not the caller.
func (w *Watcher) within(ctx context.Context, q question, open func() (*fd.FD, error)) (*fd.FD, error) {
	result := make(chan opened)
	err := w.inBackground(q, func() {
		file, err := open()
		select {
		case result <- opened{file, err}:
		case <-ctx.Done():
			if file != nil {
				_ = file.Close()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case r := <-result:
		return r.file, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errEnded = errors.New("weir is shutting down")

// question is what is asked in the background, as At asks it: what hangs holds its superblock, and says nothing of another
// one that shows the same path by now. Where nobody asks isSilent, on is not said.
type question struct {
	of string // a path, or the source of a volume
	on mount.Device
}

// inBackground runs fn, which asks q, on a goroutine that Run waits for.
func (w *Watcher) inBackground(q question, fn func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == ended {
		return &weir.Error{Op: "reach a volume", Kind: weir.KindAbsent, Err: errEnded}
	}
	if w.asked[q] == nil {
		w.asked[q] = &asking{since: time.Now()}
	}
	w.asked[q].count++
	w.background.Go(func() {
		defer w.hasAnswered(q)
		fn()
	})
	return nil
}

func (w *Watcher) hasAnswered(q question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked[q].count--; w.asked[q].count == 0 {
		delete(w.asked, q)
	}
}

// asking are the goroutines in the background that ask the same.
type asking struct {
	count int
	since time.Time // the first of them
}

// isSilent reports whether a question has not answered for a while: asking again would take as long.
func (w *Watcher) isSilent(q question) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.asked[q]
	return a != nil && time.Since(a.since) > patience
}

// openVolume opens a directory that shows v: the superblock's root if a mount shows that, in weir's own namespace, whose
// mounts are table, rather than in another one. The error is of KindAbsent if no mount of v can be reached now.
func (w *Watcher) openVolume(ctx context.Context, v *volume, table []mount.Entry, mode mount.Mode) (*fd.FD, error) {
	shown := candidates(table, v.shownBy)
	if len(shown) == 0 {
		if root, err := v.openComing(mode); root != nil || err != nil {
			return root, err
		}
		root, err := w.openForeign(ctx, v, mode)
		if errors.As(err, new(weir.OutOfReach)) {
			w.unreached(v)
		}
		return root, err
	}
	return v.openFirst(ctx, shown, func(m mount.Entry) (*fd.FD, error) {
		return w.enterWithin(ctx, table, m.Point, mode, follow)
	})
}

// openFirst opens the first mount that lets it. A single file may be mounted too, for which there is ENOTDIR.
func (v *volume) openFirst(ctx context.Context, shown []mount.Entry, open func(mount.Entry) (*fd.FD, error)) (*fd.FD, error) {
	var last error
	for _, m := range shown {
		root, err := open(m)
		if err == nil {
			root, err = v.checked(root, m.Point)
		}
		if err == nil || ctx.Err() != nil {
			return root, err
		}
		last = err
	}
	return nil, last
}

// checked closes what is on another volume.
func (v *volume) checked(root *fd.FD, point string) (*fd.FD, error) {
	if on, err := onDevice(root, v.device); err != nil || !on && !v.btrfs() {
		return nil, errors.Join(err, root.Close(), &weir.Error{Op: "reach a volume", Kind: weir.KindAbsent,
			Path: point, Err: errElsewhere})
	}
	return root, nil
}

var (
	errHidden    = weir.OutOfReach("other mounts hide all of its mounts")
	errElsewhere = errors.New("another volume is there")
)

// candidates returns the visible mounts among those that are wanted, those of the superblock's root first, and no more
// than are worth a try.
func candidates(table []mount.Entry, wanted func(mount.Entry) bool) []mount.Entry {
	var roots, others []mount.Entry
	for _, e := range table {
		switch {
		case !wanted(e) || !visible(table, e):
		case e.Root == "/":
			roots = append(roots, e)
		default:
			others = append(others, e)
		}
	}
	all := append(roots, others...)
	return all[:min(len(all), tries)]
}

// tries is how many mounts, and in how many namespaces, are tried to reach a volume.
const tries = 8

// onDevice tells whether an open file is on a superblock by st_dev. Files of btrfs have numbers of their own.
func onDevice(file *fd.FD, device mount.Device) (bool, error) {
	d, err := mount.DeviceOf(file)
	return d == device, err
}
