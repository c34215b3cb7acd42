package weirtest

import (
	"context"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// Mount mounts an empty volume at a point, and lets filters attach to it.
func (w *World) Mount(point string) *memory.Volume {
	return w.MountAs(point, func(*weir.VolumeInfo) {})
}

// MountAs mounts a volume that is described otherwise: it is read-only, or a layer, say.
func (w *World) MountAs(point string, describe func(*weir.VolumeInfo)) *memory.Volume {
	w.last++
	v := memory.NewVolume(w.last, point)
	v.Describe(describe)
	w.mu.Lock()
	w.volumes[v.ID()] = v
	w.mu.Unlock()
	w.discovery.Mount(v)
	w.Settle()
	return v
}

// InMemory returns the volume that an instance, or a hook, has been given, for operations on it: the verifier stands between.
// It may be called from callbacks.
func (w *World) InMemory(v weir.Volume) *memory.Volume {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.volumes[v.ID()]
}

// MountLayer mounts a volume that is stacked on others, with an altitude between those of the filters.
func (w *World) MountLayer(point, altitude string, lower ...*memory.Volume) *memory.Volume {
	return w.MountAs(point, func(info *weir.VolumeInfo) {
		info.Layer, info.LayerAltitude = true, weir.MustAltitude(altitude)
		for _, v := range lower {
			info.Lower = append(info.Lower, v.ID())
		}
	})
}

// Unmount takes a volume away for good.
func (w *World) Unmount(v *memory.Volume) {
	w.discovery.Unmount(v)
	w.Settle()
}

// Remount shows a volume at other points.
func (w *World) Remount(v *memory.Volume, points ...string) {
	w.discovery.Remount(v, points...)
	w.Settle()
}

// BeforeAttach has something run before the plane attaches to a volume, or intercepts it: it may hang or fail. Nil ends
// that.
func (w *World) BeforeAttach(run func(ctx context.Context, volume weir.Volume) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beforeAttach = run
}

// BeforeSetup has something run before each Setup: it may hang or fail, which is not held against the filter. Nil ends that.
func (w *World) BeforeSetup(run func(ctx context.Context, filter string, site weir.Site) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beforeSetup = run
}

// Load loads a filter, and lets it attach to the volumes that are there.
func (w *World) Load(f *weir.Filter) error {
	if f == nil {
		return w.Manager.Start(nil)
	}
	loaded := *f
	if f.Setup != nil {
		loaded.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			w.mu.Lock()
			before := w.beforeSetup
			w.mu.Unlock()
			if before != nil {
				defer w.delay(place{f.Name, site.Volume.ID()})()
				if err := before(ctx, f.Name, site); err != nil {
					return nil, err
				}
			}
			return f.Setup(ctx, site)
		}
	}
	err := w.Manager.Start(&loaded)
	w.Settle()
	return err
}

// delay says that a set-up takes longer since a hook of the test runs before it, until over is called.
func (w *World) delay(p place) (over func()) {
	add := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hooked[p] += n
	}
	add(1)
	return func() { add(-1) }
}

// byTest is who attaches, detaches and unloads.
const byTest = "the test"

// Unload unloads a filter, which may refuse.
func (w *World) Unload(filter string) error {
	defer w.Settle()
	return w.Manager.Unload(context.Background(), filter, false, byTest)
}

// ForceUnload unloads a filter, which may not refuse.
func (w *World) ForceUnload(filter string) error {
	defer w.Settle()
	return w.Manager.Unload(context.Background(), filter, true, byTest)
}

// Attach attaches an instance by hand, and Detach detaches it. One of no name is the filter's first.
func (w *World) Attach(filter, instance string, v weir.Volume) error {
	defer w.Settle()
	return w.Manager.Attach(filter, instance, v.ID())
}

// Detach is the opposite of Attach. The instance may refuse.
func (w *World) Detach(filter, instance string, v weir.Volume) error {
	defer w.Settle()
	return w.Manager.Detach(context.Background(), filter, instance, v.ID(), byTest)
}

// Lose has the volume's instances told that operations were lost.
func (w *World) Lose(v *memory.Volume) {
	w.Plane.Drop(v, "the test has lost them")
	w.Settle()
}
