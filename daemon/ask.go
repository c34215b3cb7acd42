package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// ask has fn ask a file system, on a goroutine that is left behind with its thread if there is no answer. The error is
// weir.ErrSilent then. fn changes nothing that others use.
func ask[T any](ctx context.Context, patience time.Duration, fn func() (T, error)) (T, error) {
	var value, none T
	asked := begin(func() (err error) {
		value, err = fn()
		return err
	})
	select {
	case <-asked.done:
		return value, asked.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-time.After(patience):
		return none, weir.ErrSilent
	}
}

// found is a source or a target as it was found.
type found struct {
	path    string // absolute, and without symbolic links as far as it could be asked
	exists  bool
	dangles bool  // it is a symbolic link that leads nowhere
	err     error // why it could not be asked: weir.ErrSilent, or a refusal
}

// findTrees finds the source and the targets side by side, since each may hang.
func findTrees(ctx context.Context, o Options) (source found, targets []found) {
	targets = make([]found, len(o.Targets))
	var all sync.WaitGroup
	all.Go(func() { source = find(ctx, replicate.KnownPatience, "source", o.Source) })
	for i, t := range o.Targets {
		all.Go(func() { targets[i] = find(ctx, replicate.KnownPatience, "target", t) })
	}
	all.Wait()
	return source, targets
}

func find(ctx context.Context, patience time.Duration, what, path string) found {
	f, err := ask(ctx, patience, func() (found, error) { return resolveTree(what, path) })
	if err == nil {
		return f
	}
	if errors.Is(err, weir.ErrSilent) {
		err = &weir.Error{Op: "use " + what, Kind: weir.KindRefused, Path: path, Err: weir.ErrSilent, Hint: weir.SilentHint}
	}
	return found{path: resolveAbove(ctx, path), err: err}
}

// mostLinks is how many symbolic links the kernel follows in a path.
const mostLinks = 40

// resolveAbove makes a path absolute and free of symbolic links as far as it leads before something does not answer: what
// follows is taken as it is written.
func resolveAbove(ctx context.Context, path string) string {
	abs, err := ask(ctx, replicate.KnownPatience, func() (string, error) { return filepath.Abs(path) })
	if err != nil {
		return path
	}
	at, links := "/", 0
	for rest := strings.Split(abs, "/"); len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		link, err := ask(ctx, replicate.KnownPatience, func() (string, error) { return os.Readlink(next) })
		switch {
		case errors.Is(err, weir.ErrSilent):
			return filepath.Join(append([]string{next}, rest...)...)
		case err != nil || links == mostLinks:
			at = next
			continue
		case filepath.IsAbs(link):
			at = "/"
		}
		links++
		rest = append(strings.Split(link, "/"), rest...)
	}
	return at
}

// unasked returns the paths of targets that could not be asked at the start.
func unasked(targets []found) map[string]bool {
	paths := make(map[string]bool)
	for _, t := range targets {
		if t.err != nil {
			paths[t.path] = true
		}
	}
	return paths
}

// admit looks again at a target that could not be asked at the start, now that it may answer.
func (o *Options) admit(target string) error {
	if !o.unasked[target] {
		return nil
	}
	f, err := resolveTree("target", target)
	if err == nil && f.path != target {
		return refuse("use target", target, "a symbolic link leads from it to "+weir.QuotePath(f.path), "name that")
	}
	return err
}

// askState is ask for the state directory.
func askState[T any](ctx context.Context, dir string, fn func() (T, error)) (T, error) {
	value, err := ask(ctx, replicate.NewPatience, fn)
	if errors.Is(err, weir.ErrSilent) {
		err = &weir.Error{Op: "use state directory", Kind: weir.KindFailed, Path: dir,
			Err:  errors.New("it does not answer within " + replicate.NewPatience.String()),
			Hint: weir.SilentHint + ", or name another with --state"}
	}
	return value, err
}
