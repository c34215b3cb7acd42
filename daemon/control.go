package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/filters"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/volume"
)

// controlled is a mirror as the control socket sees it.
type controlled struct {
	*manager.Manager
	mirror *Mirror
}

// filters returns what can be loaded, with the instances that the mirror was started with.
func (c controlled) filters() []*weir.Filter {
	return instancesOf(filters.All(c.mirror.replicator.Filter()), c.mirror.options.Manifests)
}

// Loadable implements control.Engine.
func (c controlled) Loadable() []string { return namesOf(c.filters()) }

func namesOf(list []*weir.Filter) (names []string) {
	for _, f := range list {
		names = append(names, f.Name)
	}
	return names
}

// Load implements control.Engine.
func (c controlled) Load(name string, instances *manifest.Manifest) error {
	f, err := c.filter(name)
	if err != nil {
		return err
	}
	if instances != nil {
		f = instances.Of(f)
	}
	if err := checkReplicator(f); err != nil {
		return err
	}
	return c.keepLoaded(f)
}

// filter returns one that can be loaded.
func (c controlled) filter(name string) (*weir.Filter, error) {
	for _, f := range c.filters() {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, &weir.Error{Op: "load filter", Kind: weir.KindRefused, Path: name, Err: errors.New("this weir has no filter of this name"),
		Hint: "it has " + strings.Join(c.Loadable(), ", ")}
}

// Gaps implements control.Engine.
func (c controlled) Gaps() (gaps []ledger.Gap, dropped, session uint64) {
	return c.mirror.ledger.Gaps(), c.mirror.ledger.Dropped(), c.mirror.ledger.Session()
}

// OutOfSight implements control.Engine.
func (c controlled) OutOfSight() []string { return c.mirror.watcher.OutOfSight() }

// Detached implements control.Engine.
func (c controlled) Detached() []volume.Detached { return c.mirror.watcher.Detached() }

// At implements control.Engine.
func (c controlled) At(path string) (weir.Volume, error) { return c.mirror.watcher.At(path) }

// Resolve implements control.Engine. What cannot be followed, in a loop for instance, is taken as it is written.
func (c controlled) Resolve(ctx context.Context, path string) (string, bool, error) {
	type end struct {
		path string
		dir  bool
	}
	found, err := ask(ctx, replicate.KnownPatience, func() (end, error) {
		resolved, _, err := resolve(path)
		if err != nil {
			resolved = filepath.Clean(path)
		}
		info, err := os.Stat(resolved)
		if control.Broken(err) {
			return end{}, err
		}
		return end{resolved, err == nil && info.IsDir()}, nil
	})
	if errors.Is(err, weir.ErrSilent) {
		err = &weir.Error{Op: "look at", Kind: weir.KindFailed, Path: path, Err: errors.New("its file system does not answer"), Hint: weir.SilentHint}
	}
	return found.path, found.dir, err
}

// serve answers on the control socket until ctx ends. A mirror works without it as well.
func (m *Mirror) serve(ctx context.Context) error {
	o := m.options
	server := control.NewServer(control.Options{
		Engine: controlled{m.manager, m}, State: o.State, Announce: o.Announce, Logger: o.Logger,
		What: "mirror " + weir.QuotePath(o.Source) + " to " + list(o.Targets),
	})
	if err := server.Run(ctx); err != nil {
		o.Logger.Warn("commands cannot ask this weir", "error", err)
	}
	return nil
}
