package main

import (
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

func TestVolumesAreFoundByName(t *testing.T) {
	volume := func(id weir.VolumeID, source, device, label string, points ...string) control.Volume {
		v := control.Volume{Info: weir.VolumeInfo{ID: id, Source: source, Device: device, Label: label}}
		for _, point := range points {
			v.Info.Mounts = append(v.Info.Mounts, weir.Mount{Own: true, Point: point})
		}
		return v
	}
	list := []control.Volume{
		volume(1, "/dev/loop0", "7:0", "disk", "/a"), volume(2, "/dev/loop1", "7:1", "twin", "/a b\xff", "/c"), volume(3, "/dev/loop2", "7:2", "twin", "/over"),
		volume(4, "tmpfs", "0:44", "", "/over"), volume(5, "server:/export", "0:45", "", "/net"), volume(7, "/dev/loop0", "7:0", "disk"),
	}
	list[5].Leaving = true
	list = append(list, control.Volume{Info: weir.VolumeInfo{ID: 8, Source: "elsewhere", Mounts: []weir.Mount{{Point: "/jail"}}}})
	for name, want := range map[string]weir.VolumeID{
		"1": 1, "/a": 1, "/a/": 1, "/dev/loop0": 1, "7:0": 1, "disk": 1, "/a b\xff": 2, "/c/../c": 2, "tmpfs": 4, "server:/export": 5, "8": 8,
	} {
		if v, err := findVolume(list, name); err != nil || v.Info.ID != want {
			t.Errorf("%q is volume %d, %v, want %d", name, v.Info.ID, err, want)
		}
	}
	for name, why := range map[string]string{
		"": "no volume has", "9": "no volume has", "a": "no volume has", "/a/b": "no volume has", "/jail": "no volume has", "7": "no volume has",
		"twin": `may be 2 ("/a b\xff") or 3 (/over); name`, "/over": "may be 3 (/over) or 4 (/over)",
	} {
		if _, err := findVolume(list, name); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %s", name, err, why)
		}
	}
	t.Chdir("/")
	for name, want := range map[string]weir.VolumeID{"a": 1, "c": 2, "disk": 1} {
		if v, err := findVolume(list, name); err != nil || v.Info.ID != want {
			t.Errorf("in its directory %q is volume %d, %v, want %d", name, v.Info.ID, err, want)
		}
	}
}
