package control

import (
	"errors"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

// scene has a volume at each of these places, with filters low everywhere, high on volume 2 only, and second, which is
// attached by hand:
//
//	1  /            plain
//	2  /data        plain
//	3  /merged      a layer on 2, at an altitude above both filters
//	4  /odd\nplace  a volume that does not accept the plane, on which low is blind
//	5  /sick        a volume on which low fails
func scene(t *testing.T) *bench {
	t.Helper()
	low := filter("low", "100", func(info weir.VolumeInfo) error {
		if info.Source == "memory5" {
			return errors.New("it is sick")
		}
		return nil
	})
	high := filter("high", "200", only("memory2"))
	high.Instances = []weir.Definition{
		{Name: "high", Altitude: high.Altitude}, {Name: "second", Altitude: weir.MustAltitude("201.5"), Attach: weir.AttachManual},
	}
	high.Skips = weir.SkipDirs | weir.SkipOwn
	b := begin(t, low, high)
	for i, point := range []string{"/", "/data", "/merged", "/odd\nplace", "/sick"} {
		v := memory.NewVolume(weir.VolumeID(i+1), point)
		switch point {
		case "/merged":
			v.Stack(weir.MustAltitude("350"), 2)
		case "/odd\nplace":
			v.Refuse(&weir.Error{Op: "attach", Kind: weir.KindUnsupported, Err: errors.New("no handles")})
		}
		b.discovery.Mount(v)
		b.volumes = append(b.volumes, v)
	}
	b.await(func(s manager.Snapshot) bool {
		sick := s.Slot("low", 5)
		return len(s.Volumes) == 5 && s.Complete && sick != nil && sick.State == topology.SlotFailed && s.Slot("low", 4).State == topology.SlotAttached &&
			s.Slot("low", 2).State == topology.SlotAttached && s.Slot("high", 2).State == topology.SlotAttached && s.Slot("high", 1).State == topology.SlotDeclined
	})
	return b
}

// instance finds one in the listing.
func (b *bench) instance(filter, name string, volume weir.VolumeID) Instance {
	b.t.Helper()
	var list Instances
	report(b.t, b.Get(b.t.Context(), "/v1/instances", nil, &list))
	for _, in := range list.Instances {
		if in.Filter == filter && in.Instance == name && in.Volume == volume {
			return in
		}
	}
	b.t.Fatalf("no instance %s of %s on volume %d in %+v", name, filter, volume, list)
	return Instance{}
}
