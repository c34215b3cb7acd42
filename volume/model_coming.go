package volume

import (
	"slices"

	"github.com/weirfs/weir"
)

// introduce takes in a mount that is about to be made, of a superblock that is there already.
func (m *model) introduce(f foreign) (weir.VolumeID, change) {
	told := change{kind: changed}
	in := m.onDevice(f.Device)
	if in == nil {
		told = m.arrive(f.Device, nil, false)
		in = m.find(told.id)
	}
	told.id = in.id
	in.coming = append(in.coming, f)
	return in.id, told
}

// come notes that a mount is no longer about to be made, for it is there.
func (m *model) come(id uint64) {
	for _, in := range m.present {
		in.coming = slices.DeleteFunc(in.coming, func(f foreign) bool { return f.ID == id })
	}
}

// withdraw ends that a mount is about to be made: it is there, or it never will be, and what is nowhere else leaves.
func (m *model) withdraw(volume weir.VolumeID, id uint64) []change {
	in := m.find(volume)
	if in == nil {
		return nil
	}
	before := len(in.coming)
	m.come(id)
	if len(in.coming) == before && len(in.mounts)+len(in.foreign)+len(in.coming) > 0 {
		return nil
	}
	return []change{m.part(in, false)}
}
