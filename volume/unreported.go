package volume

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/sys/procmaps"
)

// Unreported lists, for each of the volumes, the files that may change now without that any event tells of it
// before it is over: true for those that a process maps shared and writable, in whatever mount namespace;
// false for those that only a loop device writes. Volumes without such files are left out. It takes about 10 µs
// for a process.
//
// What is not found: mappings by processes that weir's pid namespace does not show, and mappings through a
// layer (overlay), which carry the layer's device.
//
// A process that keeps the lock of its memory, for it hangs in a page fault, holds this up until ctx ends.
// From then on until it goes on every call fails.
func (w *Watcher) Unreported(ctx context.Context, volumes []weir.Volume) (map[weir.VolumeID]map[weir.Handle]bool, error) {
	if !w.listing.CompareAndSwap(false, true) {
		return nil, &weir.Error{Op: "list mapped files", Kind: weir.KindFailed, Err: errStuck}
	}
	type answer struct {
		files files
		err   error
	}
	result := make(chan answer, 1)
	err := w.inBackground(question{of: "the memory of processes"}, func() {
		files, err := w.unreported(volumes)
		w.listing.Store(false) // Before the caller is told, who may call again at once.
		result <- answer{files, err}
	})
	if err != nil {
		w.listing.Store(false)
		return nil, err
	}
	select {
	case a := <-result:
		return a.files, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errStuck = errors.New("a process that hangs holds the lock of its memory")

// files are those of a call of Unreported.
type files map[weir.VolumeID]map[weir.Handle]bool

func (f files) add(id weir.VolumeID, h weir.Handle, mapped bool) {
	if f[id] == nil {
		f[id] = make(map[weir.Handle]bool)
	}
	f[id][h] = f[id][h] || mapped
}

func (w *Watcher) unreported(volumes []weir.Volume) (files, error) {
	found := make(files)
	devices := make(map[mount.Device]weir.VolumeID)
	for _, v := range volumes {
		if own, ok := v.(*volume); ok {
			devices[own.device] = own.id
		}
	}
	if err := w.looped(devices, found); err != nil {
		return nil, err
	}
	err := procmaps.Shared(func(m procmaps.Mapping) error {
		id, followed := devices[m.Device]
		if !followed {
			return nil
		}
		// The mapping pins the volume, so that no other can have its device number by now.
		if h, err := m.Handle(); err == nil {
			found.add(id, weir.Handle(h), true)
		}
		return nil
	})
	return found, err
}

// looped adds the files that loop devices stand on. A path leads to another file if it was attached in another
// mount namespace, or if the file has been renamed: that one is then looked at in vain. While a device is
// attached its file pins the volume, so that looking it up makes no umount fail.
func (w *Watcher) looped(devices map[mount.Device]weir.VolumeID, found files) error {
	paths := loopFiles("/sys/block")
	if len(paths) == 0 {
		return nil
	}
	table, err := w.seen()
	if err != nil {
		return err
	}
	for _, path := range paths {
		m, ok := locate(table, path)
		if !ok {
			continue
		}
		if id, followed := devices[m.Device]; followed {
			if h, err := handle.OfPath(path); err == nil {
				found.add(id, weir.Handle(h), false)
			}
		}
	}
	return nil
}

// loopFiles returns the files of the loop devices that are attached.
func loopFiles(sys string) (paths []string) {
	devices, err := os.ReadDir(sys)
	if err != nil {
		return nil
	}
	for _, d := range devices {
		if !strings.HasPrefix(d.Name(), "loop") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(sys, d.Name(), "loop", "backing_file"))
		if path := strings.TrimSuffix(string(text), "\n"); err == nil && filepath.IsAbs(path) {
			paths = append(paths, path)
		}
	}
	return paths
}
