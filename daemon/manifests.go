package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
)

// instancesOf returns filters with the instances that manifests give them.
func instancesOf(list []*weir.Filter, manifests []*manifest.Manifest) []*weir.Filter {
	list = slices.Clone(list)
	for i, f := range list {
		for _, m := range manifests {
			if m.Filter == f.Name {
				list[i] = m.Of(f)
			}
		}
	}
	return list
}

// checkManifests refuses those that could not be kept to: the filters that are compiled in, with all of them, have to get on
// with each other, whichever is loaded.
func checkManifests(manifests []*manifest.Manifest) error {
	own := filters.All(new(replicate.Replicator).Filter()) // What it says of itself depends on no mirror.
	for i, m := range manifests {
		switch {
		case !slices.ContainsFunc(own, func(f *weir.Filter) bool { return f.Name == m.Filter }):
			return refuse("use manifest for filter", m.Filter, "this weir has no filter of this name", "it has "+strings.Join(namesOf(own), ", "))
		case slices.ContainsFunc(manifests[:i], func(other *manifest.Manifest) bool { return other.Filter == m.Filter }):
			return refuse("use manifest for filter", m.Filter, "there are two for this filter", "put all its instances into one")
		}
	}
	list := instancesOf(own, manifests)
	for i, f := range list {
		if err := manager.Check(f, list[:i]); err != nil {
			return &weir.Error{Op: "use manifests", Kind: weir.KindRefused, Err: errors.Unwrap(err), Hint: "choose other altitudes or names"}
		}
		if err := checkReplicator(f); err != nil {
			return err
		}
	}
	return nil
}

// checkReplicator refuses to have the filter of the mirror where the mirror could not do what it is for.
func checkReplicator(f *weir.Filter) error {
	own := new(replicate.Replicator).Filter()
	if f.Name != own.Name {
		return nil
	}
	group := weir.GroupOf(own.Altitude)
	for _, d := range f.Definitions() {
		why := ""
		switch {
		case d.Attach == weir.AttachManual:
			why = "attach is manual, and a mirror follows its source from the start"
		case weir.GroupOf(d.Altitude) != group:
			why = fmt.Sprintf("altitude %s is not in the group %s: layers may be above it, and what they show would not be replicated", d.Altitude, group)
		}
		if why != "" {
			return refuse("use manifest for filter", f.Name, why, "weir filters shows how it is without a manifest")
		}
	}
	return nil
}
