package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/volume"
)

// introduceTime is how long a volume that is about to be mounted waits for the filters that it concerns.
const introduceTime = 10 * time.Second

// manyAttempts is how often a set-up has failed that nobody waits for any longer.
const manyAttempts = 3

// Mount implements control.Engine: the file system is made, the filters get their instances on it, and only then is it
// shown.
func (c controlled) Mount(ctx context.Context, wanted control.MountRequest, caller int) (mounted control.Mounted, err error) {
	if err := c.Wait(ctx, func(s manager.Snapshot) bool { return s.Complete }); err != nil {
		return mounted, &weir.Error{Op: "mount", Path: wanted.Device, Err: errors.New("weir does not know all volumes yet"), Hint: "try again"}
	}
	coming, err := c.mirror.watcher.Prepare(ctx, volume.Wanted{
		Type: wanted.Type, Source: wanted.Device, Options: wanted.Options, Dir: wanted.Dir, Caller: caller,
	})
	if err != nil {
		return mounted, err
	}
	mounted = c.introduced(ctx, coming)
	mounted.Dir = wanted.Dir
	if wanted.Require && len(mounted.Troubles) > 0 {
		coming.Withdraw()
		return mounted, &weir.Error{Op: "mount", Kind: weir.KindFailed, Path: wanted.Device,
			Err:  errors.New("it would not be covered: " + strings.Join(mounted.Troubles, "; ")),
			Hint: "nothing is mounted; without --require it is mounted all the same"}
	}
	if err := coming.Attach(); err != nil {
		coming.Withdraw()
		return mounted, err
	}
	return mounted, nil
}

// introduced waits until every filter has said what it does about a volume, and tells who sees it.
func (c controlled) introduced(ctx context.Context, coming *volume.Coming) control.Mounted {
	bounded, cancel := context.WithTimeout(ctx, introduceTime)
	defer cancel()
	var now manager.Snapshot
	_ = c.Wait(bounded, func(s manager.Snapshot) bool { // What has not come of it by then is among the troubles.
		now = s
		return settledOn(s, coming)
	})
	now = c.Snapshot() // with what the filters say of it
	id := coming.Volume().ID()
	m := control.Mounted{Volume: id, Instances: []string{}, Troubles: []string{}}
	links := map[topology.FrameID]manager.LinkSnapshot{}
	known := volumeOf(now, coming)
	if known == nil {
		m.Troubles = append(m.Troubles, fmt.Sprintf("no filter has been told of it within %v", introduceTime))
		return m
	}
	for _, l := range known.Links {
		links[l.Frame] = l
	}
	for _, slot := range now.Slots {
		if slot.Volume != id {
			continue
		}
		if slot.State == topology.SlotAttached {
			m.Instances = append(m.Instances, slot.Instance)
		}
		if trouble := troubleOf(slot, links[slot.Frame]); trouble != "" {
			m.Troubles = append(m.Troubles, fmt.Sprintf("filter %s %s", slot.Filter, trouble))
		}
	}
	return m
}

// volumeOf returns the volume once the manager knows that it is coming.
func volumeOf(s manager.Snapshot, coming *volume.Coming) *manager.VolumeSnapshot {
	for i, v := range s.Volumes {
		if v.Info.ID == coming.Volume().ID() &&
			slices.ContainsFunc(v.Info.Mounts, func(m weir.Mount) bool { return m.ID == coming.Mount() }) {
			return &s.Volumes[i]
		}
	}
	return nil
}

// settledOn tells whether nothing more is to be waited for on a volume.
func settledOn(s manager.Snapshot, coming *volume.Coming) bool {
	v := volumeOf(s, coming)
	if v == nil {
		return false
	}
	failed := map[topology.FrameID]bool{}
	for _, l := range v.Links {
		failed[l.Frame] = l.State == topology.LinkFailed
	}
	return !slices.ContainsFunc(s.Slots, func(slot manager.SlotSnapshot) bool {
		if slot.Volume != v.Info.ID {
			return false
		}
		switch slot.State {
		case topology.SlotPending:
			return !failed[slot.Frame]
		case topology.SlotFailed:
			return slot.Attempts < manyAttempts && !slot.Hung
		}
		return slot.State == topology.SlotSettingUp || slot.State == topology.SlotDraining || slot.Asked
	})
}

// troubleOf says why an instance does not see all of what happens on a volume, or nothing.
func troubleOf(slot manager.SlotSnapshot, link manager.LinkSnapshot) string {
	switch slot.State {
	case topology.SlotFailed:
		return "has failed on it: " + slot.Why
	case topology.SlotRemoved:
		return "was taken away from it by weir: " + slot.Why
	case topology.SlotSettingUp, topology.SlotDraining:
		return fmt.Sprintf("has not returned within %v", introduceTime)
	case topology.SlotPending:
		return "is not attached to it: " + link.Why
	case topology.SlotAttached:
		if slot.Asked {
			return fmt.Sprintf("has not said within %v what it does with it there", introduceTime)
		}
		if link.State != topology.LinkAttached {
			return "is not told of changes on it: " + link.Why
		}
		if i := slices.IndexFunc(slot.Remarks, func(r weir.Remark) bool { return r.Held }); i >= 0 {
			held := slot.Remarks[i]
			return fmt.Sprintf("holds it: %s: %s; %s", weir.QuotePath(held.Path), held.Why, held.Todo)
		}
	}
	return ""
}
