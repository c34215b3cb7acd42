package topology

import "github.com/weirfs/weir"

// frame holds the filters of altitudes in [low, high); bounded tells whether high counts. The intervals of all frames
// follow one another without a hole, and a frame is never removed.
type frame struct {
	low, high weir.Altitude
	bounded   bool
	reach     weir.Altitude // the highest altitude that an instance in it has had
}

func (f frame) holds(a weir.Altitude) bool {
	return f.low.Compare(a) <= 0 && (!f.bounded || a.Compare(f.high) < 0)
}

// frameFor returns the frame for an altitude. Above all that has been registered it depends on the layers that are
// there: one of them between ends the highest frame, and a new one begins with it. Else the highest frame is raised. A
// layer that comes later than a frame cannot cut it.
func (s *State) frameFor(a weir.Altitude) FrameID {
	if len(s.frames) == 0 {
		s.addFrame(frame{})
	}
	top := len(s.frames) - 1
	for id, f := range s.frames[:top] {
		if f.holds(a) {
			return FrameID(id)
		}
	}
	if cut, found := s.layerBetween(s.frames[top].reach, a); found {
		s.frames[top].high, s.frames[top].bounded = cut, true
		s.addFrame(frame{low: cut, reach: cut})
		top++
	}
	return FrameID(top)
}

// addFrame publishes a frame, which is linked to every volume in the same step.
func (s *State) addFrame(f frame) {
	id := FrameID(len(s.frames))
	s.frames = append(s.frames, f)
	for _, v := range s.volumeIDs() {
		if !s.faults.bareFrame {
			s.setLink(Joint{id, v}, link{})
		}
	}
}

// layerBetween returns the highest altitude of a layer in (low, high].
func (s *State) layerBetween(low, high weir.Altitude) (cut weir.Altitude, found bool) {
	for id, v := range s.volumes {
		if s.live(id) && v.layer && low.Compare(v.altitude) < 0 && v.altitude.Compare(high) <= 0 && cut.Compare(v.altitude) <= 0 {
			cut, found = v.altitude, true
		}
	}
	return cut, found
}

// Misplaced returns the altitude of an instance that is not in the frame of its filter, and that frame.
func (s *State) Misplaced(r FilterRegistered) (outside weir.Altitude, in FrameView, misplaced bool) {
	c := s.Clone()
	id := c.frameFor(r.Altitude)
	for _, i := range r.Instances {
		if !c.frames[id].holds(i.Altitude) {
			return i.Altitude, c.frameView(id), true
		}
	}
	return weir.Altitude{}, FrameView{}, false
}
