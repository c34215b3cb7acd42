package volume

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// foreign is a mount in another mount namespace.
type foreign struct {
	entry     mount.Entry
	namespace uint64 // inode number
}

// listForeign returns the mounts in all mount namespaces but weir's own, as far as the kernel lets it: the
// mounts of a namespace that dies meanwhile are left out.
func (w *Watcher) listForeign() []foreign {
	if w.fallback || !mount.Complete() {
		return nil
	}
	namespaces, err := mount.Namespaces()
	if err != nil {
		w.log.Debug("other mount namespaces cannot be listed", "error", err)
		return nil
	}
	var all []foreign
	for _, namespace := range namespaces[1:] {
		ids, err := mount.List(namespace.ID)
		if err != nil {
			w.log.Debug("a mount namespace cannot be listed", "namespace", namespace.Inode, "error", err)
		}
		for _, id := range ids {
			if e, err := mount.Stat(namespace.ID, id); err == nil {
				all = append(all, foreign{e, namespace.Inode})
			}
		}
	}
	return all
}

// addForeign adds mounts to the volumes whose devices they show, and volumes that only they show.
func addForeign(infos []weir.VolumeInfo, mounts []foreign) []weir.VolumeInfo {
	at := map[string]int{}
	last := weir.VolumeID(0)
	for i, info := range infos {
		at[info.Device] = i
		last = max(last, info.ID)
	}
	for _, f := range mounts {
		device := f.entry.Device.String()
		i, known := at[device]
		if !known {
			i = len(infos)
			at[device] = i
			last++
			infos = append(infos, outOfReach(last, f.entry))
		}
		infos[i].Mounts = append(infos[i].Mounts, describeOne(f.entry, f.namespace))
	}
	return infos
}

// outOfReach describes a volume that weir's own namespace does not show.
func outOfReach(id weir.VolumeID, e mount.Entry) weir.VolumeInfo {
	layer, _ := stacked(e.FSType, e.Source, e.SuperOptions)
	info := weir.VolumeInfo{
		ID:          id,
		Device:      e.Device.String(),
		Source:      e.Source,
		Identity:    weir.Identity{FSType: e.FSType},
		ReadOnly:    e.SuperReadOnly,
		Pseudo:      pseudo(e.FSType),
		SightReason: "only other mount namespaces show it",
		Layer:       layer,
	}
	if layer {
		info.LayerAltitude = layerAltitude(e.FSType)
	}
	return info
}
