package offline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
	"github.com/weirfs/weir/advisory/image"
)

// Gather reads what an advisory is decided on, from a Windows volume that is mounted at a directory, or from the Windows
// directory of one. What cannot be read is named in the evidence. An error is of KindRefused: there is no Windows there.
func Gather(root string, a *advisory.Advisory) (e advisory.Evidence, err error) {
	err = within(root, a, func(g *gathering) {
		g.registry()
		for _, installed := range a.Paths() {
			f, _ := g.found(installed, installed)
			g.e.Files = append(g.e.Files, f)
		}
		e = g.e
	})
	return e, err
}

// within opens a volume, finds the Windows directory, and has something read there.
func within(root string, a *advisory.Advisory, read func(*gathering)) error {
	refuse := func(err error, hint string) error {
		return &weir.Error{Op: "look for Windows in", Kind: weir.KindRefused, Path: root, Err: err, Hint: hint}
	}
	opened, err := os.OpenRoot(root)
	if err != nil {
		return refuse(reason(err), "name the directory that the Windows volume is mounted at")
	}
	defer opened.Close()
	g := &gathering{volume: volume{opened}, a: a}
	if g.windows, err = g.windowsDirectory(); err != nil {
		return refuse(err, "name the directory that the volume is mounted at, or its Windows directory")
	}
	read(g)
	return nil
}

// gathering is evidence that is being gathered.
type gathering struct {
	volume
	a       *advisory.Advisory
	windows string // the Windows directory below the volume, as it is there
	drive   string // that of the Windows directory, as the registry has it, in lower case; nothing if that is not known
	folder  string // and its path from there
	e       advisory.Evidence
}

// config is where the registry is, in the Windows directory.
const config = "system32/config"

// windowsDirectory finds the directory that has the registry.
func (g *gathering) windowsDirectory() (string, error) {
	switch _, err := g.real(config); {
	case err == nil:
		return ".", nil
	case errors.Is(err, errTwins):
		return "", err
	}
	d, err := g.open(".", 0)
	if err != nil {
		return "", err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return "", reason(err)
	}
	var found []string
	for _, name := range names {
		switch _, err := g.realBelow(name, config); {
		case err == nil:
			found = append(found, name)
		case errors.Is(err, errTwins):
			return "", err
		}
	}
	switch len(found) {
	case 0:
		return "", errors.New("there is no directory System32/config in it, or one below")
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("there are several: %q", found)
}

// inside returns a path below the Windows directory as the names in it are on the volume. It may lead out of that directory, and
// not out of the volume.
func (g *gathering) inside(at string) (string, error) {
	if below := path.Join(g.windows, at); strings.HasPrefix(path.Clean(at), "..") {
		return g.real(below)
	}
	return g.realBelow(g.windows, at)
}

// missing notes what could not be read.
func (g *gathering) missing(what string, err error) {
	g.e.Missing = append(g.e.Missing, fmt.Sprintf("%s could not be read: %s", what, err))
}

// found reads the file that is at a path below the Windows directory, in the place of another or in its own. Its bytes are nil
// if it could not be read.
func (g *gathering) found(installed, at string) (f advisory.Found, b []byte) {
	f = advisory.Found{Installed: installed, Path: path.Join(g.windows, at)}
	name, err := g.inside(at)
	if err != nil {
		f.Problem = err.Error()
		return f, nil
	}
	f.Path = name
	b, info, err := g.read(name)
	if err == nil {
		err = describe(&f, b, info)
	}
	if err != nil {
		f = advisory.Found{Installed: installed, Path: name, Problem: err.Error()}
	}
	return f, b
}

// read reads a file whose names are those on the volume.
func (g *gathering) read(name string) ([]byte, fs.FileInfo, error) {
	file, info, err := g.file(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info.Size() > image.MaxSize {
		return nil, nil, fmt.Errorf("it has %d bytes, and no file of a system is as large", info.Size())
	}
	b, err := io.ReadAll(io.LimitReader(file, image.MaxSize))
	if err != nil {
		return nil, nil, reason(err)
	}
	return b, info, nil
}

// describe says what a file is.
func describe(f *advisory.Found, b []byte, info fs.FileInfo) error {
	im, err := image.Read(b)
	if err != nil {
		return err
	}
	f.Size, f.Modified = info.Size(), info.ModTime().UTC()
	f.Version, f.FileVersion, f.Original, f.Machine = im.Version, im.FileVersion, im.OriginalFilename, im.Machine
	return nil
}

// hive opens a part of the registry.
func (g *gathering) hive(name string) (h *hive.Hive, shut func(), err error) {
	at, err := g.inside(path.Join(config, name))
	if err != nil {
		return nil, nil, err
	}
	file, info, err := g.file(at)
	if err != nil {
		return nil, nil, err
	}
	if h, err = hive.Open(file, info.Size()); err != nil {
		file.Close()
		return nil, nil, err
	}
	if h.Dirty() {
		g.e.Remarks = append(g.e.Remarks, fmt.Sprintf("the hive %s was not closed: what its log holds has not been read", strings.ToUpper(name)))
	}
	return h, func() { file.Close() }, nil
}
