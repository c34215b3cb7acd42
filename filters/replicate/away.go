package replicate

import "github.com/weirfs/weir"

// Why a source is absent, where that is known.
const (
	whyBare    = "only its bare mount point is there"
	whyBeneath = whyBare + ", with data in it that is not copied"
	whyNothing = "there is no such directory"
)

// shownAt returns the volume that shows the path of a place, whether it is mounted there, and whether what stands there is only
// the place's bare mount point: what lies in that is covered while the volume is there, and is not copied.
func (r *Replicator) shownAt(p *place) (volume weir.Volume, mounted, bare bool, err error) {
	path := r.pathOf(p)
	if volume, err = r.options.Discovery.At(path); err != nil {
		return nil, false, false, err
	}
	mounted = mountedAt(volume.Info(), path)
	p.mu.Lock()
	defer p.mu.Unlock()
	return volume, mounted, p.known && p.mountRoot && !mounted, nil
}

// away says how it is with a place that no volume is followed at: it is absent, or the volume has come and is looked at now.
func (r *Replicator) away(p *place) (phase Phase, why string) {
	volume, mounted, bare, err := r.shownAt(p)
	switch {
	case err != nil && weir.KindOf(err) == weir.KindAbsent:
		return PhaseSourceAbsent, whyNothing
	case err != nil:
		return PhaseSourceAbsent, ""
	}
	r.mu.Lock()
	_, attached := r.attached[volume.ID()]
	r.mu.Unlock()
	switch {
	case bare && !p.beneathSince().IsZero():
		return PhaseSourceAbsent, whyBeneath
	case bare:
		return PhaseSourceAbsent, whyBare
	case attached && (mounted || p.parent == nil):
		return PhaseWaiting, "its volume is there, and is being looked at"
	}
	return PhaseSourceAbsent, ""
}
