package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// resolveTree returns the absolute path of a source or a target, which may be away or not exist yet.
func resolveTree(what, path string) (string, error) {
	resolved, _, err := resolve(path)
	if err != nil {
		return "", unusable(what, path, err)
	}
	return resolved, mustBeDir(what, path)
}

// mayBegin refuses what is waited for once it has been replicated, since it may be away, and is a mistake before.
func mayBegin(source string, targets []string) error {
	if _, err := os.Stat(source); err != nil {
		return refuse("use source", source, "it does not exist", missingHint(source))
	}
	for _, t := range targets {
		if _, err := os.Stat(t); err == nil {
			continue
		}
		if info, err := os.Lstat(t); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return refuse("use target", t, "it is a symbolic link that leads nowhere", "make the directory it names, or name another")
		}
		if remote(t) {
			return refuse("use target", t, "it does not exist", missingHint(t))
		}
	}
	return nil
}

// resolveState returns the absolute path of the state directory, which may not exist yet. What cannot be resolved is
// refused when it is opened.
func resolveState(path string) string {
	if resolved, _, err := resolve(path); err == nil {
		return resolved
	}
	return path
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
