package daemon

import (
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
// absent.
func (m *Mirror) explain(units []replicate.UnitStatus) {
	var now *manager.Snapshot
	for i := range units {
		if units[i].Phase != replicate.PhaseSourceAbsent {
			continue
		}
		if now == nil {
			snapshot := m.manager.Snapshot()
			now = &snapshot
		}
		if why := trouble(*now, m.replicator.Filter().Name, units[i].Place, units[i].Place != m.options.Source); why != "" {
			units[i].Reason, units[i].Todo = why, ""
		}
	}
}

// trouble says why the volume that shows a path has no instance of the filter, or nothing if it is none of the filter's.
// What is nested is shown by what is mounted there, and by nothing else.
func trouble(s manager.Snapshot, filter, path string, nested bool) (why string) {
	longest := -1
	for _, v := range s.Volumes {
		for _, mount := range v.Info.Mounts {
			shows := mount.Point == path || !nested && below(mount.Point, path)
			if mount.Own && shows && len(mount.Point) > longest {
				longest, why = len(mount.Point), ofVolume(s, filter, v)
			}
		}
	}
	return why
}

func ofVolume(s manager.Snapshot, filter string, v manager.VolumeSnapshot) string {
	for _, l := range v.Links {
		if l.Why != "" && l.State != topology.LinkUnsupported {
			return "the volume cannot be marked: " + l.Why
		}
	}
	if slot := s.Slot(filter, v.Info.ID); slot != nil && slot.State == topology.SlotFailed {
		return "the volume cannot be followed: " + slot.Why
	}
	return ""
}
