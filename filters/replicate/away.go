package replicate

import "github.com/weirfs/weir"

// Why a source is absent, where that is known.
const (
	whyBare    = "only its bare mount point is there"
	whyBeneath = whyBare + ", with data in it that is not copied"
	whyNothing = "there is no such directory"
)

// away says how it is with a place that no volume is followed at: it is absent, or the volume has come and is looked at now.
func (r *Replicator) away(p *place) (phase Phase, why string) {
	rel, _, _ := p.at()
	path := r.sourcePath(rel)
	volume, err := r.options.Discovery.At(path)
	switch {
	case err != nil && weir.KindOf(err) == weir.KindAbsent:
		return PhaseSourceAbsent, whyNothing
	case err != nil:
		return PhaseSourceAbsent, ""
	}
	mounted := mountedAt(volume.Info(), path)
	r.mu.Lock()
	_, attached := r.attached[volume.ID()]
	r.mu.Unlock()
	switch {
	case p.bareIn(mounted) && !p.beneathSince().IsZero():
		return PhaseSourceAbsent, whyBeneath
	case p.bareIn(mounted):
		return PhaseSourceAbsent, whyBare
	case attached && (mounted || p.parent == nil):
		return PhaseWaiting, "its volume is there, and is being looked at"
	}
	return PhaseSourceAbsent, ""
}
