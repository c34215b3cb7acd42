package control

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// Explanation is the answer to GET /v1/explain: whether an event at a path would be seen.
type Explanation struct {
	Epoch uint64 `json:"epoch"`
	Path  string `json:"path"`
	Seen  bool   `json:"seen"`
	Why   string `json:"why,omitempty"` // why not, or not on the volume that shows the path

	// Nearest is the farthest directory on the way to a path that does not exist, and what is said is about what is made
	// there.
	Nearest string `json:"nearest,omitempty"`

	// Passes are the volumes that an event passes: the one that shows the path, and, if that is a layer, those below it,
	// of which it reaches those that the layer takes it to.
	Passes []Pass `json:"passes"`
}

// Pass is what sees an event on one volume.
type Pass struct {
	Volume   weir.VolumeID `json:"volume"`
	Name     string        `json:"volume_name"`
	Source   string        `json:"source"`
	FSType   string        `json:"fs_type"`
	Above    weir.VolumeID `json:"above,omitempty"`   // the layer that lies on the volume
	Altitude weir.Altitude `json:"altitude,omitzero"` // of the volume, if it is a layer
	Unfound  string        `json:"unfound,omitempty"` // of a layer, why volumes below it may be left out
	Marks    []Link        `json:"marks"`             // the frames that observe the volume, or should
	Blind    []string      `json:"blind"`             // what they cannot see
	Seen     bool          `json:"seen"`
	// Instances are in the order in which an event that has completed passes them: what is nearest to the volume first.
	Instances []Explained `json:"instances"`
}

// Explained is one instance, and whether it sees an event.
type Explained struct {
	Column
	Cell
	Seen  bool   `json:"seen"`
	Skips string `json:"skips,omitempty"` // classes of operations that its filter leaves out
}

func (s *Server) explain(r *request) (any, error) {
	query, err := r.query("path")
	if err != nil {
		return nil, err
	}
	path := query["path"]
	if !filepath.IsAbs(path) {
		return nil, refusal(r.op, path, errors.New("the path is not absolute"), "begin it with /")
	}
	resolved, dir, err := s.options.Engine.Resolve(r.Context(), path)
	switch {
	case Broken(err):
		return broken(s.options.Engine.Snapshot(), path, err), nil
	case err != nil:
		return nil, err
	}
	volume, nearest, err := s.nearest(resolved)
	snapshot := s.options.Engine.Snapshot()
	x := Explanation{Epoch: snapshot.Epoch, Path: quoted(path), Passes: []Pass{}}
	if nearest != resolved {
		x.Nearest = quoted(nearest)
	}
	switch {
	case weir.KindOf(err) == weir.KindAbsent && err != nil:
		x.Why = "there is no such path: " + reasonOf(err)
		return x, nil
	case Broken(err):
		return broken(snapshot, path, err), nil
	case err != nil:
		return nil, err
	case volume == nil || snapshotOf(snapshot, volume.ID()) == nil:
		x.Why = "the volume that shows it is not known yet"
		return x, nil
	}
	s.ignored(snapshot, volume.ID(), resolved, dir)
	s.follow(&x, about(snapshot, resolved), volume.ID(), 0)
	for _, p := range x.Passes {
		x.Seen = x.Seen || p.Seen
	}
	if !x.Passes[0].Seen {
		x.Why = x.Passes[0].whyNot()
	}
	return x, nil
}

// broken is the answer about a path that cannot be looked at, since its file system has failed.
func broken(s manager.Snapshot, path string, err error) Explanation {
	return Explanation{Epoch: s.Epoch, Path: quoted(path), Passes: []Pass{}, Why: "its file system has failed: " + reasonOf(err) +
		"; the kernel's log says why: unmount it, check it with fsck or xfs_repair, and mount it again"}
}

// Broken tells whether an error says that a file system has failed: it has been shut down, or its disk or what is on it is damaged.
func Broken(err error) bool {
	return slices.ContainsFunc([]error{syscall.EIO, syscall.EUCLEAN, syscall.ESHUTDOWN}, func(broken error) bool { return errors.Is(err, broken) })
}

// nearest returns the volume that shows a path, or else the farthest directory on the way there that exists.
func (s *Server) nearest(path string) (volume weir.Volume, at string, err error) {
	for at = path; ; at = filepath.Dir(at) {
		if volume, err = s.options.Engine.At(at); !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return volume, at, err
		}
	}
}

// ignored adds the remarks of filters that are attached to a volume and do nothing at one path on it.
func (s *Server) ignored(now manager.Snapshot, volume weir.VolumeID, path string, dir bool) {
	for i := range now.Slots {
		slot := &now.Slots[i]
		if slot.Volume != volume || slot.State != topology.SlotAttached {
			continue
		}
		if why := s.options.Engine.Ignored(slot.Filter, volume, path, dir); why != "" {
			slot.Remarks = append(slot.Remarks, weir.Remark{Volume: volume, Path: path, Why: why})
		}
	}
}

// about leaves only the remarks that are about a path.
func about(s manager.Snapshot, path string) manager.Snapshot {
	for i := range s.Slots {
		s.Slots[i].Remarks = slices.DeleteFunc(s.Slots[i].Remarks, func(r weir.Remark) bool {
			rel, err := filepath.Rel(r.Path, path)
			return err != nil || rel != "." && !filepath.IsLocal(rel)
		})
	}
	return s
}

// reasonOf returns why, without what was tried.
func reasonOf(err error) string {
	var e *weir.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// follow adds a volume, and then those below it, each once.
func (s *Server) follow(x *Explanation, snapshot manager.Snapshot, id, above weir.VolumeID) {
	v := snapshotOf(snapshot, id)
	if v == nil || slices.ContainsFunc(x.Passes, func(p Pass) bool { return p.Volume == id }) {
		return
	}
	x.Passes = append(x.Passes, s.pass(snapshot, *v, above))
	for _, lower := range v.Info.Lower {
		s.follow(x, snapshot, lower, id)
	}
}

func (s *Server) pass(snapshot manager.Snapshot, v manager.VolumeSnapshot, above weir.VolumeID) Pass {
	p := Pass{
		Volume: v.Info.ID, Name: nameOf(&v), Source: quoted(v.Info.Source), FSType: quoted(v.Info.Identity.FSType), Above: above,
		Marks: []Link{}, Blind: []string{}, Instances: []Explained{},
	}
	if v.Info.Layer {
		p.Altitude, p.Unfound = v.Info.LayerAltitude, v.Info.LowerReason
	}
	frames := map[int]bool{}
	slots := slotsOf(snapshot)[v.Info.ID]
	for _, column := range slices.Backward(columnsOf(snapshot)) {
		cell := cellOf(snapshot, v, slots, column)
		if cell.State == "none" {
			continue
		}
		seen := (cell.State == "attached" || cell.State == "local only") && !cell.idle && !cell.nothing
		p.Instances = append(p.Instances, Explained{column, cell, seen, snapshot.Filter(column.Filter).Skips})
		p.Seen = p.Seen || seen
		frames[column.Frame] = frames[column.Frame] || seen || cell.State == scanOnly || cell.State == blind || cell.nothing
	}
	for _, l := range linksOf(v) {
		if !frames[l.Frame] {
			continue
		}
		p.Marks = append(p.Marks, l)
		for _, clause := range s.options.Engine.Blind(l.Plane) {
			if !slices.Contains(p.Blind, clause) {
				p.Blind = append(p.Blind, clause)
			}
		}
	}
	return p
}

// whyNot says why nothing on the volume sees an event.
func (p Pass) whyNot() string {
	if len(p.Instances) == 0 {
		return "no filter is loaded that has an instance there"
	}
	var reasons []string
	for _, in := range p.Instances {
		reason := fmt.Sprintf("%s is %s", in.Column, in.Cell)
		switch {
		case in.State == topology.SlotDeclined.String():
			reason = fmt.Sprintf("%s has no business there: %s", in.Column, cmp.Or(in.Why, "it declines"))
		case in.nothing && in.State != held && in.State != overdue:
			reason = fmt.Sprintf("%s does nothing there: %s", in.Column, in.Why)
		}
		reasons = append(reasons, reason)
	}
	return strings.Join(reasons, "; ")
}
