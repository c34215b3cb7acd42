package volume

import (
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// attachForeign takes in a mount of another namespace that was attached, moved or looked at again.
func (m *model) attachForeign(f foreign, listed bool) []change {
	m.come(f.ID)
	if in := m.foreign[f.ID]; in != nil {
		i := slices.IndexFunc(in.foreign, func(old foreign) bool { return old.ID == f.ID })
		switch old := in.foreign[i]; {
		case old == f:
			return nil
		case old.namespace == f.namespace && compare(old.Entry, f.Entry) != other:
			in.foreign[i] = f
			return []change{{kind: changed, id: in.id}}
		}
		return append(m.detachForeign(f.ID), m.attachForeign(f, listed)...)
	}
	if m.foreign == nil {
		m.foreign = map[uint64]*incarnation{}
	}
	told := change{kind: changed}
	in := m.onDevice(f.Device)
	if in == nil {
		told = m.arrive(f.Device, nil, listed)
		in = m.find(told.id)
	}
	told.id = in.id
	in.foreign = append(in.foreign, f)
	m.foreign[f.ID] = in
	return []change{told}
}

// detachForeign takes a mount of another namespace out. That calls nothing back that was borrowed, unless it was the
// last mount: what is held is a clone, and the superblock lives.
func (m *model) detachForeign(id uint64) []change {
	in := m.foreign[id]
	if in == nil {
		return nil
	}
	delete(m.foreign, id)
	in.foreign = slices.DeleteFunc(in.foreign, func(f foreign) bool { return f.ID == id })
	return []change{m.part(in, false)}
}

// byNamespace returns the mounts of other namespaces.
func (m *model) byNamespace() map[mount.Namespace][]foreign {
	found := map[mount.Namespace][]foreign{}
	for _, in := range m.present {
		for _, f := range in.foreign {
			found[f.namespace] = append(found[f.namespace], f)
		}
	}
	return found
}

// entriesIn returns all mounts of another namespace.
func (m *model) entriesIn(namespace mount.Namespace) []mount.Entry {
	var all []mount.Entry
	for _, f := range m.byNamespace()[namespace] {
		all = append(all, f.Entry)
	}
	return all
}

// away tells whether only other namespaces show a volume.
func (m *model) away(id weir.VolumeID) bool {
	in := m.find(id)
	return in != nil && len(in.mounts)+len(in.coming) == 0
}
