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

func readHidden(hidden *tree.Dir, name string) ([]byte, error) {
	f, err := os.OpenFile(inHidden(hidden, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// readMarker returns the marker and the generation of a target. A marker that is missing or damaged is a
// KindAbsent error: such a target is not written.
func readMarker(hidden *tree.Dir) (marker, uint64, error) {
	var m marker
	text, err := readHidden(hidden, markerFile)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("its marker " + HiddenDir + "/" + markerFile + " is gone")
		} else {
			err = fmt.Errorf("marker %s/%s is damaged: %w", HiddenDir, markerFile, err)
		}
		return m, 0, &weir.Error{Op: "open target", Kind: weir.KindAbsent, Err: err, Hint: "start with --adopt to take it over"}
	}
	if m.Version > markerVersion {
		return m, 0, &weir.Error{Op: "open target", Kind: weir.KindRefused,
			Err: fmt.Errorf("its marker has version %d; this weir knows %d", m.Version, markerVersion), Hint: "use the newer weir"}
	}
	text, err = readHidden(hidden, genFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, 0, err
	}
	// A generation that cannot be read counts as 0: the target is then compared in full.
	generation, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return m, generation, nil
}

// writeGeneration writes the generation in place: one sector of fixed length, so that a power cut leaves
// the old or the new one. It is durable after the sync that follows.
func writeGeneration(hidden *tree.Dir, generation uint64) error {
	f, err := os.OpenFile(inHidden(hidden, genFile), os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(fmt.Appendf(nil, "%020d\n", generation), 0)
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
		return m, err
	}
	defer f.Close()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return m, err
	}
	if err := f.Sync(); err != nil {
		return m, err
	}
	if err := os.Rename(temp, inHidden(hidden, markerFile)); err != nil {
		return m, err
	}
	return m, hidden.Syncfs()
}
