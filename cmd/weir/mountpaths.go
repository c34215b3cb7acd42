package main

import (
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/volume"
)

// sourceHere returns a source as another process has to be told it: a relative path, of what is there, is made absolute. What a
// type takes that needs no device is no path, whatever it looks like: a server, or just a word.
func sourceHere(fsType, source string) (string, error) {
	if _, err := os.Lstat(source); err != nil || filepath.IsAbs(source) || volume.Deviceless(fsType) {
		return source, nil
	}
	return filepath.Abs(source)
}

// optionsHere returns options as another process has to be told them: users and groups by their numbers, and the
// directories of an overlay by absolute paths.
func optionsHere(fsType, text string) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	var words []string
	for _, o := range mount.SplitOptions(text) {
		switch {
		case o.Name == "uid" || o.Name == "gid":
			o.Value = numberOf(o)
		case fsType == "overlay" && slices.Contains([]string{"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"}, o.Name):
			o.Value = dirsBelow(here, o.Value)
		}
		words = append(words, o.String())
	}
	return strings.Join(words, ","), nil
}

// dirsBelow returns the directories of an overlay, which have colons between them, with those below here that are relative.
// A backslash has a colon belong to a name.
func dirsBelow(here, list string) string {
	here = strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(here)
	return regexp.MustCompile(`(\\.|[^\\:])+`).ReplaceAllStringFunc(list, func(dir string) string {
		if filepath.IsAbs(dir) {
			return dir
		}
		return filepath.Join(here, dir)
	})
}

// numberOf returns the number of a user or a group, or what else the file system may know the word for.
func numberOf(o mount.Option) string {
	if u, err := user.Lookup(o.Value); err == nil && o.Name == "uid" {
		return u.Uid
	}
	if g, err := user.LookupGroup(o.Value); err == nil && o.Name == "gid" {
		return g.Gid
	}
	return o.Value
}
