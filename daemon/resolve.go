package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// resolve makes a path absolute and free of symbolic links, as far as it leads: what does not exist has none.
func resolve(path string) (resolved string, exists bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, err
	}
	if _, err = os.Stat(abs); err == nil {
		resolved, err = filepath.EvalSymlinks(abs)
		return resolved, true, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	parent, _, err := resolve(filepath.Dir(abs))
	if err != nil {
		return "", false, err
	}
	resolved = filepath.Join(parent, filepath.Base(abs))
	link, err := os.Readlink(resolved)
	if err != nil {
		return resolved, false, nil // It is no link.
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(parent, link)
	}
	return resolve(link) // It ends: the kernel has followed the links, and has not met a loop.
}

// resolveTree finds a source or a target, which may be away or not exist yet.
func resolveTree(what, path string) (found, error) {
	resolved, exists, err := resolve(path)
	if err != nil {
		return found{}, unusable(what, path, err)
	}
	f := found{path: resolved, exists: exists}
	if !exists {
		info, err := os.Lstat(path)
		f.dangles = err == nil && info.Mode()&fs.ModeSymlink != 0
	}
	return f, mustBeDir(what, path)
}

// insist asks a source again that has not answered.
func insist(ctx context.Context, o Options, source found) found {
	o.Logger.Warn("the source does not answer; weir waits for it a little longer", "source", weir.LogPath(source.path), "hint", weir.SilentHint)
	return find(ctx, replicate.NewPatience, "source", o.Source)
}

// mayBegin refuses what is waited for once it has been replicated, since it may be away, and is a mistake before.
func mayBegin(o Options, source found, targets []found) error {
	if source.err != nil {
		return source.err
	}
	if !source.exists {
		return refuse("use source", o.Source, "it does not exist", missingHint(o.Source))
	}
	for i, t := range targets {
		switch path := o.Targets[i]; {
		case t.err != nil && !errors.Is(t.err, weir.ErrSilent):
			return t.err
		case t.dangles:
			return refuse("use target", path, "it is a symbolic link that leads nowhere", "make the directory it names, or name another")
		case t.err == nil && !t.exists && remote(path):
			return refuse("use target", path, "it does not exist", missingHint(path))
		}
	}
	return nil
}

// stateDir is the absolute path of a state directory, and whether there is no index in it.
type stateDir struct {
	path  string
	fresh bool
}

// findState looks for a state directory, which may not exist yet. What cannot be resolved is refused when it is opened.
func findState(ctx context.Context, path string) (stateDir, error) {
	return askState(ctx, path, func() (stateDir, error) {
		resolved, _, err := resolve(path)
		if err != nil {
			resolved = path
		}
		_, err = os.Stat(filepath.Join(resolved, indexDir))
		return stateDir{resolved, err != nil}, nil
	})
}

// mustBeDir refuses what is there and no directory.
func mustBeDir(what, path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return refuse("use "+what, path, "it is not a directory", "name a directory")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return unusable(what, path, err)
	}
	return nil
}

// unusable is the refusal of a path that leads nowhere, in the kernel's words.
func unusable(what, path string, err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return refuse("use "+what, path, err.Error(), "see what ls -ld says of each part of it, or name another directory")
}

// remote reports whether a path looks like one of another machine, as rsync and scp write it.
func remote(path string) bool {
	host, _, colon := strings.Cut(path, ":")
	return colon && host != "" && !strings.Contains(host, "/")
}

// missingHint is what helps where a path does not exist.
func missingHint(path string) string {
	if remote(path) {
		return "weir replicates between file systems that are mounted on this machine: mount that one, or write ./ before a name with a colon"
	}
	return "create it, or mount what it is on"
}
