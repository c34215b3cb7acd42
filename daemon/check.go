package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/probe"
	"github.com/weirfs/weir/volume"
)

// check makes the paths absolute, finds the state directory, and refuses what no mirror may be. A file system that does not
// answer keeps it for a while: what the state knows is waited for later.
func check(ctx context.Context, o Options) (Options, *volume.Watcher, error) {
	if err := checkRights(); err != nil {
		return o, nil, err
	}
	if err := checkManifests(o.Manifests); err != nil {
		return o, nil, err
	}
	typed := o
	source, targets := findTrees(ctx, o)
	if source.err != nil && !errors.Is(source.err, weir.ErrSilent) {
		return o, nil, source.err
	}
	var err error
	if o.Forget, err = placesIn(o.Source, source.path, o.Forget); err != nil {
		return o, nil, err
	}
	o.Source, o.Targets = source.path, make([]string, len(targets))
	for i, t := range targets {
		o.Targets[i] = t.path
	}
	if o.State == "" {
		o.State = StateDir(o.Source, o.Targets)
	}
	state, err := findState(ctx, o.State)
	if err != nil {
		return o, nil, err
	}
	o.State = state.path
	if source.err != nil && (state.fresh || o.Once) {
		if source = insist(ctx, typed, source); source.err != nil {
			return o, nil, source.err
		}
	}
	if state.fresh {
		if err := mayBegin(typed, source, targets); err != nil {
			return o, nil, err
		}
	}
	o.unasked = unasked(targets)
	w := volume.New(volume.Options{Logger: o.Logger, Fallback: o.Fallback})
	if err := checkApart(w, o.Source, o.Targets); err != nil {
		return o, nil, err
	}
	if source.err == nil {
		if err := checkExcluded(w, o, !state.fresh); err != nil {
			return o, nil, err
		}
	}
	return o, w, checkState(w, o)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func refuse(op, path, why, hint string) error {
	return &weir.Error{Op: op, Kind: weir.KindRefused, Path: path, Err: errors.New(why), Hint: hint}
}

// placesIn makes paths relative to the source, whether they are or begin with it as it was typed or as it is. What is
// there now does not matter.
func placesIn(typed, source string, paths []string) (places []string, err error) {
	abs, err := filepath.Abs(typed)
	if err != nil {
		return nil, refuse("use source", typed, err.Error(), "")
	}
	for _, path := range paths {
		rel := filepath.Clean(path)
		for _, top := range []string{abs, source} {
			if filepath.IsAbs(rel) && below(top, rel) {
				rel = strings.TrimPrefix(strings.TrimPrefix(rel, top), "/")
			}
		}
		if !filepath.IsLocal(rel) || rel == "." {
			return nil, refuse("forget place", path, "it is not below the source "+weir.QuotePath(source), "name a path in it")
		}
		places = append(places, rel)
	}
	return places, nil
}

// checkState refuses a state directory that is a tree of the mirror, or in a target.
func checkState(w *volume.Watcher, o Options) error {
	if within(w, o.State, o.Source) {
		return refuse("use state directory", o.State, "the source "+weir.QuotePath(o.Source)+" is in it", "name another directory with --state")
	}
	for _, t := range o.Targets {
		if within(w, t, o.State) || within(w, o.State, t) {
			return refuse("use state directory", o.State, "it overlaps with target "+weir.QuotePath(t), "name a directory apart from the targets with --state")
		}
	}
	return nil
}

// checkApart refuses trees that overlap, by path or because mounts show the same directories twice.
func checkApart(w *volume.Watcher, source string, targets []string) error {
	for i, t := range targets {
		if err := apart(w, source, t); err != nil {
			return err
		}
		for _, other := range targets[:i] {
			if within(w, other, t) || within(w, t, other) {
				return refuse("use target", t, "it is the same place as, or overlaps with, target "+weir.QuotePath(other), "name targets apart from each other")
			}
		}
	}
	return nil
}

func apart(w *volume.Watcher, source, target string) error {
	switch {
	case within(w, source, target) && within(w, target, source):
		return refuse("use target", target, "it is the source itself", "choose another target")
	case within(w, source, target):
		return refuse("use target", target, "it is inside the source "+weir.QuotePath(source), "choose a target outside the source")
	case within(w, target, source):
		return refuse("use target", target, "the source "+weir.QuotePath(source)+" is inside it", "choose a target that does not hold the source")
	}
	return nil
}

// within reports whether path is dir or below it, by name or by what mounts show.
func within(w *volume.Watcher, dir, path string) bool {
	if below(dir, path) {
		return true
	}
	deviceA, onA, okA := w.Where(dir)
	deviceB, onB, okB := w.Where(path)
	return okA && okB && deviceA == deviceB && below(onA, onB)
}

func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

// checkRights refuses to run where the main job cannot be done.
func checkRights() error {
	if os.Geteuid() != 0 {
		return &weir.Error{Op: "start", Kind: weir.KindRefused, Err: errors.New("weir needs root: it follows whole file systems and keeps owners"),
			Hint: "run it with sudo"}
	}
	return lacking(probe.Needed())
}

// lacking names what the kernel, or the container around weir, does not give. What is for want of a right is told as that:
// most else does not work without it either.
func lacking(missing []probe.Result) error {
	if len(missing) == 0 {
		return nil
	}
	e := &weir.Error{Op: "start", Kind: weir.KindUnsupported}
	var rights, reasons []string
	for _, m := range missing {
		if strings.HasPrefix(m.Name, "CAP_") {
			rights = append(rights, m.Name)
		}
		reason := m.Name + " (" + m.What + ") does not work: " + m.Detail
		if m.Kernel != "" {
			reason += "; Linux has it since " + m.Kernel
		}
		reasons = append(reasons, reason)
	}
	switch {
	case confined():
		e.Err = errors.New("root of a user namespace has no rights over whole file systems")
		e.Hint = "run weir outside of user namespaces, and of containers that have one; weir doctor shows what does not work"
	case len(rights) > 0:
		e.Err = fmt.Errorf("weir has no %s", strings.Join(rights, ", and no "))
		e.Hint = "let it have that, which a container has to be given; weir doctor shows what does not work without"
	default:
		e.Err, e.Hint = errors.New(strings.Join(reasons, "; ")), "weir doctor shows what this machine can do; use a kernel of 6.1 or later"
	}
	return e
}

// confined reports whether the process is in another user namespace than the machine's first, which maps every user to
// himself.
func confined() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(text)), []string{"0", "0", "4294967295"})
}
