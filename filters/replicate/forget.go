package replicate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/replica"
)

// What is to be forgotten of a place is what the index knows of it. Its part of each replica is then something that
// nobody knows: the comparison at the start takes over what the source has there too, and sets the rest aside.

// toForget finds the places that Options.Forget names, with those that were mounted in them. An error of KindRefused
// says which is none, or is not away.
func (r *Replicator) toForget() (list []placeRecord, err error) {
	known, err := r.placeRecords()
	if err != nil {
		return nil, err
	}
	for _, rel := range r.options.Forget {
		found := false
		for _, rec := range known {
			found = found || !rec.isRoot() && string(rec.Rel) == rel
		}
		if !found {
			return nil, refuseForget(r.sourcePath(rel), "no volume was replicated from there", "known are: "+r.placeNames(known))
		}
		for _, m := range r.options.Mounts.MountsBelow(r.options.Source) {
			if m.Point == r.sourcePath(rel) {
				return nil, refuseForget(m.Point, "a volume is mounted there", "unmount it first")
			}
		}
	}
	forgotten := make(map[uint32]bool)
	for _, rec := range known { // What a place was mounted in comes before it.
		if !rec.isRoot() && (forgotten[rec.Parent] || slices.Contains(r.options.Forget, string(rec.Rel))) {
			forgotten[rec.ID] = true
			list = append(list, rec)
		}
	}
	return list, nil
}

func refuseForget(path, why, hint string) error {
	return &weir.Error{Op: "forget place", Kind: weir.KindRefused, Path: path, Err: errors.New(why), Hint: hint}
}

// placeNames lists the places that can be forgotten.
func (r *Replicator) placeNames(known []placeRecord) string {
	var names []string
	for _, rec := range known {
		if !rec.isRoot() {
			names = append(names, weir.QuotePath(r.sourcePath(string(rec.Rel))))
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// forgetAll forgets places, inner ones first.
func (r *Replicator) forgetAll(list []placeRecord) error {
	for _, rec := range slices.Backward(list) {
		if err := r.forget(rec); err != nil {
			return fmt.Errorf("forget %s: %w", weir.QuotePath(r.sourcePath(string(rec.Rel))), err)
		}
	}
	return nil
}

// forget removes a place from the index. If that is interrupted the place is still known, and can be forgotten again.
func (r *Replicator) forget(rec placeRecord) error {
	for _, t := range r.targets {
		if err := r.forgetPoint(r.options.Index.Replica(unitID(t, rec.Parent)), rec); err != nil {
			return err
		}
		if err := r.options.Index.DropReplica(unitID(t, rec.ID)); err != nil {
			return err
		}
	}
	if err := r.options.Index.SetMeta(rec.name(), nil); err != nil {
		return err
	}
	r.log.Info("place is forgotten", "place", weir.LogPath(r.sourcePath(string(rec.Rel))))
	return nil
}

// forgetPoint makes the replica around a place forget its mount point, and that weir was about to change that name: what
// stands there is the former replica of the place, and is not removed for an interrupted batch's. A mount point that is
// parked is only not held any more, since what nobody knows in the parking is removed.
func (r *Replicator) forgetPoint(ix *index.Replica, rec placeRecord) error {
	node, err := r.findPoint(ix, rec)
	if err != nil || node.Key == "" {
		return err
	}
	b := ix.NewBatch()
	defer b.Close()
	if at, _, err := anyName(ix, node); err != nil {
		return err
	} else if at.Parent == replica.Parking {
		node.Flags &^= replica.Pinned
		b.Put(node)
		return b.Commit(true)
	}
	b.Delete(node.Key)
	err = ix.MetaRange(metaIntent, func(name string, value []byte) (bool, error) {
		all := decodeIntents(value)
		rest := slices.DeleteFunc(slices.Clone(all), func(i intent) bool { return slices.Contains(node.Names, i.Name) })
		if len(rest) < len(all) {
			b.Meta(name, encodeIntents(rest))
		}
		return true, nil
	})
	if err = errors.Join(err, b.Err()); err != nil {
		return err
	}
	return b.Commit(true)
}

// findPoint returns the node by which the replica around a place holds its mount point: the directory that was covered,
// or one that was made anew in its place. Its key is empty if none is held.
func (r *Replicator) findPoint(ix *index.Replica, rec placeRecord) (node replica.Node, err error) {
	node, known, err := ix.Get(weir.Handle(rec.MountKey))
	if err != nil || known && node.Flags&replica.Pinned != 0 {
		return node, err
	}
	root, err := ix.Meta(metaRoot)
	key, known := weir.Handle(root), true
	for name := range strings.SplitSeq(rec.inParent, "/") {
		if err != nil || !known {
			return replica.Node{}, err
		}
		key, known, err = ix.Child(key, name)
	}
	if err == nil && known {
		node, known, err = ix.Get(key)
	}
	if err != nil || !known || node.Flags&replica.Pinned == 0 {
		return replica.Node{}, err
	}
	return node, nil
}
