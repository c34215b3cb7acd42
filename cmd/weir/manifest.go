package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manifest"
)

// manifestExample is in the help of the commands that take manifests.
const manifestExample = `A manifest says which instances a filter has on each volume, in the place of those
that it has by itself:

  filter = "activity"
  default = "low"           # may be left out where there is one instance

  [[instance]]
  name = "low"
  altitude = "365000.5"     # where it stands; higher is farther from the volume
  attach = "any"            # or automatic: not by hand; or manual: by hand only`

// readManifest returns what a file says, and its text.
func readManifest(path string) (*manifest.Manifest, string, error) {
	text, err := readBounded(path, manifest.MaxSize)
	if err != nil {
		return nil, "", &weir.Error{Op: "read manifest", Kind: weir.KindRefused, Path: path, Err: err, Hint: "name a TOML file"}
	}
	m, err := manifest.Parse(path, text)
	return m, string(text), err
}

// readBounded reads a regular file, and of one that is larger than it may be a little more than that.
func readBounded(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(reasonOf(err), errors.New("it is no regular file"))
	}
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	return text, reasonOf(err)
}

// reasonOf returns an error of a file without the path.
func reasonOf(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
