package manager

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/topology"
)

// addRemarks adds what a filter says of the volumes that it is attached to.
func (m *Manager) addRemarks(s *Snapshot, f *weir.Filter) {
	var remarks []weir.Remark
	_ = m.guard(f, "Remarks", func() error {
		remarks = f.Remarks()
		return nil
	})
	for i := range s.Slots {
		slot := &s.Slots[i]
		for _, r := range remarks {
			if slot.Filter == f.Name && slot.Volume == r.Volume && slot.State == topology.SlotAttached {
				slot.Remarks = append(slot.Remarks, r)
			}
		}
	}
}

// Ignored says why a filter does nothing with what happens at a path on a volume that it is attached to, or nothing. The path
// is as Filter.Ignores has it.
func (m *Manager) Ignored(filter string, volume weir.VolumeID, path string, dir bool) (why string) {
	_, f, err := m.filter(filter)
	if err != nil || f.Ignores == nil {
		return ""
	}
	_ = m.guard(f, "Ignores", func() error {
		why = f.Ignores(volume, path, dir)
		return nil
	})
	return why
}
