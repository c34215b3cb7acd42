package target

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/weirfs/weir/tree"
)

// Aside is where what is set aside lies, relative to the target.
const Aside = HiddenDir + "/" + asideDir

// SetAside moves an object of the target out of the way and deletes nothing: into a directory that is named after the
// run of weir, under the path that it had. A name that is taken there gets a number. It returns where the object lies
// now, relative to the target.
func (h *Hold) SetAside(run string, from *tree.Dir, name, path string) (now string, err error) {
	if _, err := from.Stat(name); err != nil { // For what is gone no directories are made.
		return "", fmt.Errorf("set aside: %w", err)
	}
	to, dir, err := h.openAside(run, path)
	if err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	defer to.Close()
	last, err := renameNumbered(from, name, to, lastOf(path))
	if err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	return dir + "/" + last, nil
}

// SwapAside is SetAside with another object that gets the name in the same moment. That one goes aside first, and then
// changes places, so that whatever interrupts it, nothing of somebody else's lies where weir removes things. After an
// error both are where they were.
func (h *Hold) SwapAside(run string, from *tree.Dir, name, path string, with *tree.Dir, old string) (now string, err error) {
	to, dir, err := h.openAside(run, path)
	if err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	defer to.Close()
	last, err := renameNumbered(with, old, to, lastOf(path))
	if err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	if err := tree.Rename(to, last, from, name, tree.Exchange); err != nil {
		return "", errors.Join(fmt.Errorf("set aside: %w", err), tree.RenameFree(to, last, with, old))
	}
	return dir + "/" + last, nil
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// openAside makes the directory for what had a path, and returns it with its own path, relative to the target.
func (h *Hold) openAside(run, path string) (to *tree.Dir, dir string, err error) {
	parts := append([]string{run}, strings.Split(path, "/")...)
	if to, err = tree.Open(h.aside.FD()); err != nil {
		return nil, "", err
	}
	dir = Aside
	for _, part := range parts[:len(parts)-1] {
		next, name, err := makeAside(to, part)
		to.Close()
		if err != nil {
			return nil, "", err
		}
		to, dir = next, dir+"/"+name
	}
	return to, dir, nil
}

// renameNumbered moves an object to a name that is free there, and returns that.
func renameNumbered(from *tree.Dir, old string, to *tree.Dir, name string) (string, error) {
	free := name
	err := tree.RenameFree(from, old, to, free)
	for n := 2; errors.Is(err, fs.ErrExist); n++ {
		free = numbered(name, n)
		err = tree.RenameFree(from, old, to, free)
	}
	return free, err
}

// makeAside opens a directory, and makes it where it is missing. Where a file was set aside under that name it gets a
// number. It returns the name that it has.
func makeAside(dir *tree.Dir, name string) (*tree.Dir, string, error) {
	free := name
	next, err := openOrMake(dir, free)
	for n := 2; noDirectory(err); n++ {
		free = numbered(name, n)
		next, err = openOrMake(dir, free)
	}
	return next, free, err
}

// longest is how many bytes of a name stay when it gets a number: no file system takes fewer than 255.
const longest = 240

func numbered(name string, n int) string {
	return fmt.Sprintf("%s~%d", name[:min(len(name), longest)], n)
}

func openOrMake(dir *tree.Dir, name string) (*tree.Dir, error) {
	if err := dir.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return dir.OpenDir(name)
}
