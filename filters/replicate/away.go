package replicate

import (
	"errors"
	"time"

	"github.com/weirfs/weir"
)

// Why a source is absent, where that is known.
const (
	whyBare    = "only its bare mount point is there"
	whyBeneath = whyBare + ", with data in it that is not copied"
	whyNothing = "there is no such directory"
	whySilent  = "it does not answer"
)

// shownAt returns the volume that shows the path of a place, whether it is mounted there, and whether what stands there is only
// the place's bare mount point: what lies in that is covered while the volume is there, and is not copied.
func (r *Replicator) shownAt(p *place) (volume weir.Volume, mounted, bare bool, err error) {
	path := r.pathOf(p)
	if volume, err = r.at(path); err != nil {
		return nil, false, false, err
	}
	mounted = mountedAt(volume.Info(), path)
	p.mu.Lock()
	defer p.mu.Unlock()
	return volume, mounted, !mounted && (p.parent != nil || p.known && p.mountRoot), nil
}

// at returns the volume of a path. It is said if the source does not answer, until it does.
func (r *Replicator) at(path string) (weir.Volume, error) {
	if path != r.options.Source {
		return r.options.Discovery.At(path)
	}
	late := time.AfterFunc(KnownPatience, func() {
		if !r.silent.Swap(true) {
			r.log.Warn("the source does not answer; weir waits until it does", "source", weir.LogPath(path), "hint", weir.SilentHint)
			r.changed()
		}
	})
	volume, err := r.options.Discovery.At(path)
	if late.Stop(); err == nil || weir.KindOf(err) == weir.KindAbsent {
		r.silent.Store(false)
	}
	return volume, err
}

// away says how it is with a place that no volume is followed at: it is absent, or the volume has come and is looked at now.
func (r *Replicator) away(p *place) (phase Phase, why string) {
	volume, mounted, bare, err := r.shownAt(p)
	switch {
	case err != nil && weir.KindOf(err) == weir.KindAbsent:
		return PhaseSourceAbsent, whyNothing
	case errors.Is(err, weir.ErrSilent):
		return PhaseWaiting, whySilent
	case err != nil:
		return PhaseSourceAbsent, ""
	case volume.Info().SightReason == weir.SilentReason:
		return PhaseWaiting, whySilent
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
