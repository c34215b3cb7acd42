package target

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/weirfs/weir/tree"
)

// Aside is where what is set aside lies, relative to the target.
const Aside = HiddenDir + "/" + asideDir

// SetAside moves an object of the target out of the way and deletes nothing: into a directory that is named after the
// run of weir, under the path that it had. A name that is taken there gets a number.
func (h *Hold) SetAside(run string, from *tree.Dir, name, path string) error {
	parts := append([]string{run}, strings.Split(path, "/")...)
	to, err := tree.Open(h.aside.FD())
	if err != nil {
		return err
	}
	defer func() { to.Close() }()
	for _, part := range parts[:len(parts)-1] {
		next, err := makeAside(to, part)
		if err != nil {
			return fmt.Errorf("set aside: %w", err)
		}
		to.Close()
		to = next
	}
	last := parts[len(parts)-1]
	err = tree.RenameFree(from, name, to, last)
	for n := 2; errors.Is(err, fs.ErrExist); n++ {
		err = tree.RenameFree(from, name, to, numbered(last, n))
	}
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	return nil
}

// makeAside opens a directory, and makes it where it is missing. Where a file was set aside under that name it gets a
// number.
func makeAside(dir *tree.Dir, name string) (*tree.Dir, error) {
	next, err := openOrMake(dir, name)
	for n := 2; errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP); n++ {
		next, err = openOrMake(dir, numbered(name, n))
	}
	return next, err
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
