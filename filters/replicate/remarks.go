package replicate

import "github.com/weirfs/weir"

// remarks lists the places that are held, those whose scan is overdue, those for which only the bare mount point stands in,
// and the mounts that are not followed for what they cover.
func (r *Replicator) remarks() (list []weir.Remark) {
	for _, p := range r.allPlaces() {
		if doubt := p.doubted(); doubt.Held {
			list = append(list, doubt)
		}
		if remark, any := r.remarkOn(p); any {
			list = append(list, remark)
		}
	}
	for _, b := range r.burials() {
		list = append(list, b.remark())
	}
	return list
}

func (r *Replicator) remarkOn(p *place) (remark weir.Remark, any bool) {
	p.mu.Lock()
	rel, volume, holding, overdue := p.rel, p.volume, p.holding, p.overdue
	p.mu.Unlock()
	path := r.sourcePath(rel)
	switch {
	case volume != nil && holding != "":
		return weir.Remark{Volume: volume.ID(), Path: path, Held: true, Why: holding, Todo: todoHeld}, true
	case volume != nil && !overdue.IsZero():
		why := overdueWhy(overdue, r.options.ScanInterval)
		return weir.Remark{Volume: volume.ID(), Path: path, Overdue: overdue, Why: why, Todo: todoOverdue}, true
	case volume != nil || r.leftOutBy(p) != "":
		return remark, false
	}
	there, _, bare, err := r.shownAt(p)
	if err != nil || !bare {
		return remark, false
	}
	const why = "this is the bare mount point of a volume that is away: what is in it is not copied"
	return weir.Remark{Volume: there.ID(), Path: path, Why: why, Todo: todoAbsent(path, p.parent != nil)}, true
}
