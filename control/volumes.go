package control

import (
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/volume"
)

// Volumes is the answer to GET /v1/volumes, in the order in which they arrived.
type Volumes struct {
	Epoch uint64 `json:"epoch"`

	// Complete tells whether every volume that exists is known; Missed says why not, if events of mounts were lost.
	Complete bool   `json:"complete"`
	Missed   string `json:"missed,omitempty"`

	OutOfSight []string `json:"out_of_sight"` // sentences: where there may be volumes that are not known
	Volumes    []Volume `json:"volumes"`

	Detached []volume.Detached `json:"detached"` // that no mount shows any more and that live on, as they left
}

// Volume is one volume with the frames on it. Texts in Info are on the wire as weir.QuotePath makes them.
type Volume struct {
	Info    weir.VolumeInfo `json:"info"`
	Since   time.Time       `json:"since"`   // when weir learned of it
	Listed  bool            `json:"listed"`  // it was there already
	Leaving bool            `json:"leaving"` // its last mount is gone, and instances remain
	Links   []Link          `json:"links"`

	Excluded manager.Exclusion `json:"excluded,omitzero"` // what keeps filters off it
}

func (s *Server) volumes(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	snapshot := s.options.Engine.Snapshot()
	list := Volumes{Epoch: snapshot.Epoch, Complete: snapshot.Complete, Missed: snapshot.Missed, OutOfSight: s.outOfSight(), Volumes: []Volume{}, Detached: []volume.Detached{}}
	for _, d := range s.options.Engine.Detached() {
		d.Info = withTexts(d.Info, quoted)
		list.Detached = append(list.Detached, d)
	}
	for _, v := range snapshot.Volumes {
		info := withTexts(v.Info, quoted)
		list.Volumes = append(list.Volumes, Volume{info, v.Since, v.Listed, v.Leaving, linksOf(v), v.Excluded})
	}
	return list, nil
}

// outOfSight is never nil.
func (s *Server) outOfSight() []string { return append([]string{}, s.options.Engine.OutOfSight()...) }

// withTexts returns a copy of what is known of a volume, with change done to each text that somebody else has chosen.
func withTexts(info weir.VolumeInfo, change func(string) string) weir.VolumeInfo {
	info.Source, info.Label = change(info.Source), change(info.Label)
	info.Mounts, info.Was = slices.Clone(info.Mounts), slices.Clone(info.Was)
	if info.Mounts == nil {
		info.Mounts = []weir.Mount{}
	}
	for _, list := range [][]weir.Mount{info.Mounts, info.Was} {
		for i := range list {
			m := &list[i]
			m.Root, m.Point, m.Options = change(m.Root), change(m.Point), change(m.Options)
		}
	}
	return info
}
