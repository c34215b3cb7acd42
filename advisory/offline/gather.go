package offline

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
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
	g := &gathering{volume: volume{root: opened, listed: map[string]map[string][]string{}, room: maxListed}, a: a}
	if g.windows, err = g.windowsDirectory(); err != nil {
		return refuse(err, cmp.Or(hintOf(err), "name the directory that the volume is mounted at, or its Windows directory"))
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
	case hintOf(err) != "":
		return "", err
	}
	var found []string
	var doubt error
	err := g.names(".", func(name string) {
		_, err := g.realBelow(name, config)
		usual := slices.Contains([]string{"windows", "winnt"}, lower(name))
		switch {
		case err == nil:
			found = append(found, name)
		case errors.Is(err, errTwins) || usual && hintOf(err) != "" && doubt == nil:
			doubt = err
		}
	})
	switch {
	case err != nil:
		return "", err
	case errors.Is(doubt, errTwins) || doubt != nil && len(found) == 0:
		return "", doubt
	case len(found) == 0:
		return "", errors.New("there is no directory System32/config in it, or one below")
	case len(found) > 1:
		return "", fmt.Errorf("there are several: %q", found)
	}
	// There may be another, which has no such directory, and whose name differs in case alone.
	if _, err = g.real(found[0]); err != nil {
		err = remedied{err, "name the one that is the Windows directory"}
	}
	return found[0], err
}

// inside returns a path below the Windows directory as the names in it are on the volume. It may lead out of that directory, and
// not out of the volume.
func (g *gathering) inside(at string) (name string, err error) {
	if name = g.windows; outwards(at) {
		name = "."
	}
	err = g.inwards(at, func(next, _ string) bool { name = next; return true })
	return name, err
}

// inwards walks such a path.
func (g *gathering) inwards(at string, visit func(at, left string) bool) error {
	if outwards(at) {
		return g.walk(".", path.Join(g.windows, at), visit)
	}
	return g.walk(g.windows, at, visit)
}

func outwards(at string) bool { return strings.HasPrefix(path.Clean(at), "..") }

// missing notes what could not be read.
func (g *gathering) missing(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	g.e.Missing, g.e.Hint = append(g.e.Missing, err.Error()), cmp.Or(g.e.Hint, hintOf(err))
}

// found reads the file that is at a path below the Windows directory, in the place of another or in its own. Its bytes are nil
// if it could not be read.
func (g *gathering) found(installed, at string) (f advisory.Found, b []byte) {
	f = advisory.Found{Installed: installed, Path: path.Join(g.windows, at)}
	name, err := g.inside(at)
	if err != nil {
		if f.Problem, f.Hint = err.Error(), hintOf(err); f.Hint == "" && errors.Is(err, errAbsent) {
			f.Hint = "put " + installed + " back in its place, or name the whole volume, and check again"
		}
		return f, nil
	}
	f.Path = name
	b, info, err := g.read(name, image.MaxSize)
	if err != nil {
		f.Problem, f.Hint = err.Error(), hintOf(err)
		return f, nil
	}
	if err := describe(&f, b, info); err != nil {
		f.Problem, f.Hint = err.Error(), "put a whole "+installed+" in its place, and check again"
	}
	return f, b
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
	at, err := g.inside(path.Join(config, strings.ToLower(name)))
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
		g.e.Remarks = append(g.e.Remarks, fmt.Sprintf("the hive %s was not closed: what its log holds has not been read", name))
	}
	return h, func() { file.Close() }, nil
}
