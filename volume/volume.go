package volume

import (
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// volume is the weir.Volume of one incarnation.
type volume struct {
	w      *Watcher
	id     weir.VolumeID
	device mount.Device
	fsType string
	source string

	// The rest is guarded by w.mu.
	was          []weir.Mount // where it was seen first; nothing if it was shown nowhere yet
	leases       map[*lease]struct{}
	coming       []*Coming
	examination  *examination
	gone         bool          // the last mount has left
	former       weir.VolumeID // what it was when it left before, and lived on; 0 if it had not
	guarded      bool          // a sentinel stands on it
	changeQueued bool          // a Changed waits to be told
	hidden       bool          // none of its mounts could be reached when somebody tried last
	slow         bool          // it did not answer in time; nobody waits for it again
}

func newVolume(w *Watcher, in *incarnation) *volume {
	return &volume{
		w:           w,
		id:          in.id,
		device:      in.device,
		fsType:      in.sample().FSType,
		was:         w.describe(in.mounts),
		source:      in.sample().Source,
		examination: newExamination(),
		leases:      map[*lease]struct{}{},
	}
}

// ID implements weir.Volume.
func (v *volume) ID() weir.VolumeID { return v.id }

// shownBy tells whether a mount of weir's own namespace shows the volume, while that is there.
func (v *volume) shownBy(e mount.Entry) bool { return e.Device == v.device }

func (v *volume) btrfs() bool { return v.fsType == "btrfs" }

// Info implements weir.Volume. The first call examines the volume, and waits for that for at most a second.
func (v *volume) Info() weir.VolumeInfo {
	mounts := v.w.mountsOf(v)
	f := v.waitFacts()
	info := weir.VolumeInfo{
		ID:          v.id,
		Device:      v.device.String(),
		Identity:    f.identity,
		Label:       f.label,
		Handles:     f.handles,
		Pseudo:      pseudo(v.fsType),
		Sight:       f.sight,
		SightReason: f.sightReason,
		OutOfReach:  f.hidden,
		Former:      mounts.former,
	}
	info.Identity.FSType = v.fsType
	if !mounts.any {
		info.Source, info.Was = v.source, mounts.was
		return info
	}
	first := mounts.first
	info.Source = first.Source
	info.ReadOnly = first.SuperReadOnly
	layer, lower := stacked(v.fsType, first.Source, first.SuperOptions)
	if info.Layer = layer; layer {
		info.LayerAltitude = layerAltitude(v.fsType)
	}
	info.LowerReason = relativeTo(v.fsType, first.SuperOptions)
	info.Lower = v.w.volumesAt(mounts.around, lower, v.id)
	info.Mounts = v.w.describe(mounts.own)
	for _, f := range mounts.coming {
		one := v.w.describe([]mount.Entry{f.Entry})[0]
		if one.Coming = true; f.namespace != (mount.Namespace{}) {
			one.Own, one.Namespace = false, f.namespace.Inode
		}
		info.Mounts = append(info.Mounts, one)
	}
	for _, f := range mounts.foreign {
		info.Mounts = append(info.Mounts, describeOne(f.Entry, f.namespace.Inode))
	}
	return info
}

// mounts are those of one volume.
type mounts struct {
	former  weir.VolumeID // what the volume was before
	was     []weir.Mount
	any     bool
	first   mount.Entry
	own     []mount.Entry
	foreign []foreign
	coming  []foreign
	around  []mount.Entry // all of the namespace of the first one
}

// mountsOf returns the present mounts of a volume: those of weir's own namespace with the points that they have now.
func (w *Watcher) mountsOf(v *volume) (m mounts) {
	if err := w.look(); err != nil {
		w.log.Warn("mounts cannot be looked at; what was seen last is told", "error", err)
	}
	w.looking.Lock()
	if w.eyes != nil && w.eyes.events != nil {
		w.restat(w.known(v.id))
	} else if err := w.rereadLocked(); err != nil {
		w.log.Warn("mounts cannot be looked at; what was seen last is told", "error", err)
	}
	w.looking.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	m.former, m.was = v.former, slices.Clone(v.was)
	in := w.model.find(v.id)
	if in == nil {
		return m
	}
	m.any, m.first = true, in.sample()
	m.own, m.foreign, m.coming = slices.Clone(in.mounts), slices.Clone(in.foreign), slices.Clone(in.coming)
	if m.around = w.model.entries(); len(m.own)+len(m.coming) == 0 {
		m.around = w.model.entriesIn(m.foreign[0].namespace)
	}
	return m
}

// known returns the mounts of a volume in weir's own namespace that have been seen.
func (w *Watcher) known(id weir.VolumeID) []mount.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in := w.model.find(id); in != nil {
		return slices.Clone(in.mounts)
	}
	return nil
}

// volumesAt returns the volumes that show paths, without repetition and without except.
func (w *Watcher) volumesAt(table []mount.Entry, paths []string, except weir.VolumeID) []weir.VolumeID {
	var ids []weir.VolumeID
	for _, path := range paths {
		m, ok := locate(table, path)
		if !ok {
			continue
		}
		w.mu.Lock()
		in, _ := w.model.withMount(m.ID)
		if in == nil {
			in = w.model.foreign[m.ID]
		}
		w.mu.Unlock()
		if in != nil && in.id != except && !slices.Contains(ids, in.id) {
			ids = append(ids, in.id)
		}
	}
	return ids
}

// describe translates mounts of weir's own namespace.
func (w *Watcher) describe(mounts []mount.Entry) []weir.Mount {
	namespace, err := mount.OwnInode()
	if err != nil {
		w.log.Warn("the mount namespace has no number", "error", err)
	}
	described := make([]weir.Mount, len(mounts))
	for i, e := range mounts {
		described[i] = describeOne(e, namespace)
		described[i].Own = true
	}
	return described
}

func describeOne(e mount.Entry, namespace uint64) weir.Mount {
	return weir.Mount{
		ID:        e.ID,
		ParentID:  e.ParentID,
		Namespace: namespace,
		Root:      e.Root,
		Point:     e.Point,
		ReadOnly:  e.ReadOnly || e.SuperReadOnly,
		Options:   e.Options,
	}
}
