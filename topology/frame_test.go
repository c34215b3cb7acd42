package topology

import (
	"fmt"
	"testing"

	"github.com/weirfs/weir"
)

func arrives(v weir.VolumeID, layer string) Input {
	if layer == "" {
		return VolumeArrived{Volume: v}
	}
	return VolumeArrived{Volume: v, Layer: true, Altitude: weir.MustAltitude(layer)}
}

func TestFrames(t *testing.T) {
	for name, tt := range map[string]struct {
		inputs []Input
		want   string // the frames' intervals and the filters in them
	}{
		"the first filter makes a frame": {[]Input{registers(1, "100")}, "[0,) 1"},
		"a higher one raises it":         {[]Input{registers(1, "100"), registers(2, "900")}, "[0,) 1 2"},
		"a layer between begins another": {[]Input{registers(1, "100"), arrives(1, "500"), registers(2, "900")}, "[0,500) 1 [500,) 2"},
		"a layer that is there first":    {[]Input{arrives(1, "500"), registers(1, "900"), registers(2, "100")}, "[0,500) 2 [500,) 1"},
		"a layer that comes late":        {[]Input{registers(1, "900"), arrives(1, "500"), registers(2, "901"), registers(3, "5")}, "[0,) 1 2 3"},
		"the highest of the layers":      {[]Input{arrives(1, "300"), arrives(2, "500"), arrives(3, "950"), registers(1, "900")}, "[0,500) [500,) 1"},
		"at the layer's own altitude":    {[]Input{arrives(1, "500"), registers(1, "500")}, "[0,500) [500,) 1"},
		"a layer that has left":          {[]Input{arrives(1, "500"), VolumeLeft{1}, registers(1, "900")}, "[0,) 1"},
		"a layer that stays, once left":  {[]Input{arrives(1, "500"), registers(1, "900"), VolumeLeft{1}, registers(2, "400")}, "[0,500) 2 [500,) 1"},
	} {
		s := New()
		for _, i := range tt.inputs {
			s.Apply(i)
		}
		got := ""
		for _, f := range s.View().Frames {
			high := ""
			if f.Bounded {
				high = f.High.String()
			}
			got += fmt.Sprintf(" [%s,%s)", f.Low, high)
			for _, filter := range s.View().Filters {
				if filter.Frame == f.ID {
					got += fmt.Sprint(" ", filter.ID)
				}
			}
		}
		if got != " "+tt.want {
			t.Errorf("%s: got%s, want %s", name, got, tt.want)
		}
	}
}

// On a layer there are the instances above it only; on the volumes below there are all.
func TestInstancesBelowALayer(t *testing.T) {
	s := New()
	two := FilterRegistered{Filter: 1, Altitude: weir.MustAltitude("400"), Instances: []Instance{
		{Altitude: weir.MustAltitude("400")}, {Altitude: weir.MustAltitude("600")}, {Altitude: weir.MustAltitude("700"), Manual: true},
	}}
	for _, i := range []Input{two, FilterStarted{1}, arrives(1, ""), arrives(2, "500"), Attach{Pair{1, 0, 2}}, Detach{Pair{1, 0, 2}, "operator"}} {
		s.Apply(i)
	}
	got := ""
	for _, l := range s.View().Slots {
		got += fmt.Sprintf(" %d/%d=%v", l.Pair.Volume, l.Pair.Instance, l.State)
	}
	if want := " 1/0=pending 1/1=pending 1/2=detached 2/0=excluded 2/1=pending 2/2=detached"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMisplaced(t *testing.T) {
	s := New()
	s.Apply(arrives(1, "500"))
	r := FilterRegistered{Filter: 1, Altitude: weir.MustAltitude("900"), Instances: []Instance{
		{Altitude: weir.MustAltitude("900")}, {Altitude: weir.MustAltitude("499.9")},
	}}
	a, in, misplaced := s.Misplaced(r)
	if !misplaced || a.String() != "499.9" || in.Low.String() != "500" || in.Bounded {
		t.Errorf("%s in %+v, %t", a, in, misplaced)
	}
	s.Apply(r)
	if n := len(s.View().Filters); n != 0 {
		t.Errorf("%d filters", n)
	}
}
