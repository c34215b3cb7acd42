package daemon

import (
	"fmt"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// Status tells how the mirror stands, or, once Run takes it down, how it stood before that. It is safe for
// concurrent use.
func (m *Mirror) Status() replicate.Status {
	if s := m.final.Load(); s != nil {
		return *s
	}
	return m.status()
}

func (m *Mirror) status() replicate.Status {
	s := m.replicator.Status()
	m.explain(s.Units)
	return s
}

// explain adds what the replicator does not know: why the manager has not brought it the volume of a source that is
// absent, or that somebody has taken the filter from it.
func (m *Mirror) explain(units []replicate.UnitStatus) {
	var now *manager.Snapshot
	for i := range units {
		if units[i].Phase != replicate.PhaseSourceAbsent || units[i].Reason != "" {
			continue
		}
		if now == nil {
			snapshot := m.manager.Snapshot()
			now = &snapshot
		}
		if v := showing(*now, units[i].Place, units[i].Place != m.options.Source); v != nil {
			account(&units[i], *now, m.replicator.Filter().Name, v)
		}
	}
}

// account says why the volume that shows a place has no instance of the filter, if it is one of the filter's.
func account(u *replicate.UnitStatus, s manager.Snapshot, filter string, v *manager.VolumeSnapshot) {
	f, slot := s.Filter(filter), s.Slot(filter, v.Info.ID)
	switch why := ofVolume(*v, slot); {
	case f == nil || f.Stopping:
		u.Phase, u.Reason = replicate.PhaseDetached, "the filter is unloaded"
		u.Todo = "weir load " + filter + untilThen
	case slot != nil && (slot.By != "" || slot.State == topology.SlotRemoved):
		u.Phase, u.Reason = replicate.PhaseDetached, "detached by hand, by "+slot.By
		if slot.State == topology.SlotRemoved {
			u.Reason = "taken away by weir: " + slot.Why
		}
		u.Todo = fmt.Sprintf("weir attach %s %d%s", filter, v.Info.ID, untilThen)
		if slot.Attach == weir.AttachAutomatic {
			u.Todo = fmt.Sprintf("weir unload --force %s, and weir load %s%s", filter, filter, untilThen)
		}
	case why != "":
		u.Reason, u.Todo = why, ""
	case slot != nil && comes(slot.State):
		u.Phase, u.Reason, u.Todo = replicate.PhaseWaiting, "its volume is there, and the filter is on its way to it", ""
	}
}

// comes reports whether an instance that is not followed yet will be, without anybody doing anything.
func comes(state topology.SlotState) bool {
	switch state {
	case topology.SlotPending, topology.SlotSettingUp, topology.SlotDraining, topology.SlotAttached:
		return true
	}
	return false
}

const untilThen = ": its replica stays as it is until then"

// showing returns the volume that shows a path, or nil if that is not known. What is nested is shown by what is mounted
// there, and by nothing else.
func showing(s manager.Snapshot, path string, nested bool) (best *manager.VolumeSnapshot) {
	longest := -1
	for i, v := range s.Volumes {
		for _, mount := range v.Info.Mounts {
			shows := mount.Point == path || !nested && below(mount.Point, path)
			if mount.Own && shows && len(mount.Point) > longest {
				longest, best = len(mount.Point), &s.Volumes[i]
			}
		}
	}
	return best
}

func ofVolume(v manager.VolumeSnapshot, slot *manager.SlotSnapshot) string {
	for _, l := range v.Links {
		if l.Why != "" && l.State != topology.LinkUnsupported {
			return "the volume cannot be marked: " + l.Why
		}
	}
	if slot != nil && slot.State == topology.SlotFailed {
		return "the volume cannot be followed: " + slot.Why
	}
	return ""
}
