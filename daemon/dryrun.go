package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/index"
)

// DryRun tells path by path what a mirror with these options would change to make its targets equal, and
// changes nothing: it works on a copy of the index. What Supervise and Open refuse it refuses too: a target or a
// state directory that is in use, for instance. It returns soon after the end of ctx, also if a volume hangs.
func DryRun(ctx context.Context, o Options, tell func(replicate.Change)) (totals []replicate.Total, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	copied, err := os.MkdirTemp("", "weir-dry-run-")
	if err != nil {
		return nil, fmt.Errorf("make room for a copy of the index: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	var told []replicate.Total
	run := begin(func() (err error) {
		told, err = dryRun(ctx, o, copied, tell)
		return err
	})
	select {
	case <-run.done:
	case <-ctx.Done():
		if !run.endsWithin(grace) {
			return nil, fmt.Errorf("tell what would be done: %w", ctx.Err())
		}
	}
	return told, run.err
}

// dryRun is DryRun with a directory for a copy of the index.
func dryRun(ctx context.Context, o Options, copied string, tell func(replicate.Change)) (totals []replicate.Total, err error) {
	o.Once = true
	o, watcher, err := check(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := mayReserve(watcher, o.Targets); err != nil {
		return nil, err
	}
	release, err := askState(ctx, o.State, func() (func() error, error) { return lookAtState(o.State) })
	if err != nil {
		return nil, err
	}
	defer release()
	db, err := copyIndex(filepath.Join(o.State, indexDir), copied)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	targets, err := belongs(db, o)
	if err != nil {
		return nil, err
	}
	r, err := replicate.New(replicate.Options{
		Source: o.Source, Targets: targets, Rules: o.Rules, Brake: o.Brake, Replaced: o.Replaced,
		OneVolume: o.OneVolume, Excludes: o.excludes(), Forget: o.Forget, Adopt: o.Adopt, NoDevices: o.NoDevices, NoPrivileges: o.NoPrivileges,
		Private: o.State, Index: db, Discovery: watcher, Mounts: watcher, Admit: o.admit, Logger: slog.New(slog.DiscardHandler), CoarseTimes: coarseTimes(),
	})
	if err != nil {
		return nil, err
	}
	return r.DryRun(ctx, tell)
}

// lookAtState refuses what takeLock refuses, and keeps others from using the directory until release. It
// writes nothing: a directory that does not exist is not made.
func lookAtState(dir string) (release func() error, err error) {
	none := func() error { return nil }
	if err := checkDir(dir); errors.Is(err, fs.ErrNotExist) {
		return none, nil
	} else if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return nil, noState(dir, err, "")
	}
	err = lockState(dir, file)
	if err == nil {
		err = checkFiles(dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// copyIndex opens a copy of an index, or one in memory where there is none, or none that can be read: a run
// would begin anew there, too.
func copyIndex(from, to string) (*index.DB, error) {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return index.Open(to, index.Options{Memory: true})
	}
	to = filepath.Join(to, indexDir)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return nil, fmt.Errorf("copy the index: %w", err)
	}
	db, err := index.Open(to, index.Options{})
	if errors.Is(err, index.ErrDamaged) {
		return index.Open(to, index.Options{Memory: true})
	}
	return db, err
}
