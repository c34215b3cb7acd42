package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

func TestPrintVolumes(t *testing.T) {
	infos := []weir.VolumeInfo{
		{ID: 1, Source: "/dev/sda1", Label: "my disk", Identity: weir.Identity{FSType: "ext4"}, Sight: weir.SightFull,
			Mounts: []weir.Mount{
				{Own: true, Root: "/", Point: "/data"}, {Own: true, Root: "/sub", Point: "/b\x1b[2J"},
				{Root: "/", Point: "/data"}, {Root: "/", Point: "/data"}, {Root: "/", Point: "/jail"},
			}},
		{ID: 2, Source: "overlay", Identity: weir.Identity{FSType: "overlay"}, Sight: weir.SightScan, ReadOnly: true,
			SightReason: "no handles", Layer: true, Lower: []weir.VolumeID{1, 7}},
		{ID: 3, Source: "sshfs", Identity: weir.Identity{FSType: "fuse"}, Layer: true},
	}
	list := volumeList{Epoch: 7, Missed: "events were lost"}
	for _, info := range infos {
		list.Volumes = append(list.Volumes, listedVolume{VolumeInfo: info, Leaving: info.ID == 3})
	}
	var out bytes.Buffer
	if err := printVolumes(&out, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"VOLUME  TYPE", "my disk", "/data [and in 2 other namespaces]\n", "\"/b\\x1b[2J\" (its /sub)\n",
		"/jail [in another namespace]\n", "1,7  scan only, read-only", "\nvolume 2, scan only: no handles\n", "?    nothing, leaving",
		"\nnot all volumes are known: events were lost\n", "\nepoch 7\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestVolumesHidesPseudoOnes(t *testing.T) {
	types := func(args ...string) []string {
		status, out, errs := weirRun(append([]string{"volumes", "--json"}, args...)...)
		var list volumeList
		if err := json.Unmarshal([]byte(out), &list); err != nil || status != 0 || errs != "" {
			t.Fatal(status, errs, err)
		}
		if list.Epoch != 0 || !list.Complete || list.OutOfSight == nil {
			t.Errorf("of a process that looks by itself: %s", out)
		}
		var types []string
		for _, info := range list.Volumes {
			types = append(types, info.Identity.FSType)
		}
		return types
	}
	if some := types(); len(some) == 0 || slices.Contains(some, "proc") {
		t.Errorf("without --all: %q", some)
	}
	if all := types("--all"); !slices.Contains(all, "proc") {
		t.Errorf("with --all: %q", all)
	}
}
