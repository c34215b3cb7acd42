package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/volume"
)

// volumeNamed asks which volume is meant.
func volumeNamed(ctx context.Context, client *control.Client, name string) (control.Volume, error) {
	list, err := client.Volumes(ctx)
	if err != nil {
		return control.Volume{}, err
	}
	return findVolume(list.Volumes, name)
}

// findVolume returns the one volume that has a number, a mount point, a device or a label.
func findVolume(list []control.Volume, name string) (control.Volume, error) {
	found := allNamed(list, name)
	if len(found) == 0 && name != "" && !strings.Contains(name, "/") {
		found = allNamed(list, "./"+name)
	}
	refused := &weir.Error{Op: "find volume", Kind: weir.KindRefused, Path: name}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		refused.Err = errors.New("no volume has this number, mount point, device or label")
		refused.Hint = "weir volumes lists them"
	default:
		refused.Err, refused.Hint = fmt.Errorf("it may be %s", candidates(found)), "name the one that is meant by its number"
	}
	return control.Volume{}, refused
}

func allNamed(list []control.Volume, name string) (found []control.Volume) {
	for _, v := range list {
		if named(v.Info, name) && !v.Leaving {
			found = append(found, v)
		}
	}
	return found
}

func named(info weir.VolumeInfo, name string) bool {
	if id, err := strconv.ParseUint(name, 10, 64); err == nil {
		return info.ID == weir.VolumeID(id)
	}
	if name == "" {
		return false
	}
	for _, m := range info.Mounts {
		if m.Own && m.Point == absolute(name) {
			return true
		}
	}
	return info.Device == name || info.Label == name || info.Source == volume.Device(name)
}

// absolute makes a path of what may be one.
func absolute(name string) string {
	if !strings.Contains(name, "/") && name != "." && name != ".." {
		return ""
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	return path
}

func candidates(found []control.Volume) string {
	var list []string
	for _, v := range found {
		list = append(list, volumeTitle(v.Info))
	}
	return strings.Join(list, " or ")
}

// volumeTitle names a volume by number and place.
func volumeTitle(info weir.VolumeInfo) string {
	return fmt.Sprintf("%d (%s)", info.ID, control.NameOf(info))
}
