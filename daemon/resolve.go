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

// resolveSource returns the absolute path of the source.
func resolveSource(path string) (resolved string, exists bool, err error) {
	resolved, exists, err = resolve(path)
	if err != nil {
		return "", false, unusable("source", path, err)
	}
	return resolved, exists, mustBeDir("source", path)
}

// resolveTarget returns the absolute path of a target, which may not exist yet. Whether it may be absent is decided when
// it is prepared.
func resolveTarget(path string) (string, error) {
	resolved, exists, err := resolve(path)
	if err != nil {
		return "", unusable("target", path, err)
	}
	if info, err := os.Lstat(path); err == nil && !exists && info.Mode()&fs.ModeSymlink != 0 {
		return "", refuse("use target", path, "it is a symbolic link that leads nowhere", "make the directory it names, or name another")
	}
	if !exists && remote(path) {
		return "", refuse("use target", path, "it does not exist", missingHint(path))
	}
	return resolved, mustBeDir("target", path)
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
