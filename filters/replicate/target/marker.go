package target

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// marker tells whose replica a target is. It never changes; the generation is kept in a file of its own.
type marker struct {
	Version int       `json:"version"`
	ID      string    `json:"replica_id"`
	Source  string    `json:"source"`
	Created time.Time `json:"created"`
}

const markerVersion = 1

// inHidden names a file in the hidden directory, which belongs to weir alone and is not followed when it
// is a link.
func inHidden(hidden *tree.Dir, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", hidden.FD(), name)
}

func readHidden(hidden *tree.Dir, name string) (text []byte, err error) {
	f, err := os.OpenFile(inHidden(hidden, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, 64<<10))
	}
	return text, bare(err)
}

// bare takes the path out of an error: nobody knows a hidden file by it.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// readMarker returns the marker and the generation of the target at path. A marker that is missing or damaged is a
// KindAbsent error: such a target is not written. One that cannot be read for now is neither.
func readMarker(hidden *tree.Dir, path string) (marker, uint64, error) {
	const file = HiddenDir + "/" + markerFile
	var m marker
	e := &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: path, Hint: "start with --adopt to take it over"}
	text, err := readHidden(hidden, markerFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Err = errors.New("its marker " + file + " is gone")
		return m, 0, e
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EISDIR):
		e.Err = errors.New("its marker " + file + " is no file")
		return m, 0, e
	case err != nil:
		return m, 0, unread(path, "its marker "+file, err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		e.Err = fmt.Errorf("its marker %s is damaged: %w", file, err)
		return m, 0, e
	}
	if m.Version > markerVersion {
		e.Kind, e.Hint = weir.KindRefused, "use the newer weir"
		e.Err = fmt.Errorf("its marker has version %d; this weir knows %d", m.Version, markerVersion)
		return m, 0, e
	}
	if m.ID == "" {
		e.Err = errors.New("its marker " + file + " is damaged: it has no replica_id")
		return m, 0, e
	}
	text, err = readHidden(hidden, genFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, 0, unread(path, HiddenDir+"/"+genFile, err)
	}
	// A generation that cannot be read counts as 0: the target is then compared in full.
	generation, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return m, generation, nil
}

// unread is the error of a hidden file that the disk does not give, which says nothing of what the target is.
func unread(path, file string, err error) error {
	return &weir.Error{Op: "open target", Path: path, Err: fmt.Errorf("%s cannot be read: %w", file, err), Hint: "see to its disk"}
}

// writeGeneration writes the generation in place: one sector of fixed length, so that a power cut leaves
// the old or the new one. It is durable after the sync that follows.
func writeGeneration(hidden *tree.Dir, generation uint64) error {
	f, err := os.OpenFile(inHidden(hidden, genFile), os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err == nil {
		defer f.Close()
		_, err = f.WriteAt(fmt.Appendf(nil, "%020d\n", generation), 0)
	}
	return bare(err)
}

// reserveGeneration makes the file of the generation where there is none, so that a target that has no room for another
// file can still tell what is durable on it.
func reserveGeneration(hidden *tree.Dir) error {
	_, err := readHidden(hidden, genFile)
	if errors.Is(err, fs.ErrNotExist) {
		return writeGeneration(hidden, 0)
	}
	return err
}

// writeMarker marks a target, durably.
func writeMarker(hidden *tree.Dir, source string) (marker, error) {
	m := marker{Version: markerVersion, ID: rand.Text(), Source: source, Created: time.Now().UTC().Truncate(time.Second)}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return m, err
	}
	temp := inHidden(hidden, markerFile+".new")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return m, bare(err)
	}
	defer f.Close()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return m, bare(err)
	}
	if err := f.Sync(); err != nil {
		return m, bare(err)
	}
	if err := os.Rename(temp, inHidden(hidden, markerFile)); err != nil {
		return m, bare(err)
	}
	return m, hidden.Syncfs()
}
