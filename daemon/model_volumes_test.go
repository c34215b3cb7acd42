package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// nested is a volume that the model mounts below the source, at directories that are made for it alone: nothing
// else ever stands there, so that a place whose volume is away is known by its directory.
type nested struct {
	n     int
	v     *voltest.Volume // unmounted when it is not in use
	home  string          // of a tmpfs, which must stay mounted somewhere to be the same
	at    string          // where it is mounted now; "" if it is not
	id    inodeID         // of the directory that it covers
	holds int             // places that it has been mounted at
	was   []string        // the paths of those, as they were then
}

type inodeID struct{ dev, ino uint64 }

func idOf(path string) (inodeID, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return inodeID{st.Dev, st.Ino}, err
}

// newNested makes the volumes that all worlds of one test share.
func newNested(t *testing.T) []*nested {
	a, b := voltest.New(t, "ext4", voltest.Unmounted()), voltest.New(t, "tmpfs")
	return []*nested{{n: 0, v: a}, {n: 1, v: b, home: b.Dir}}
}

// keepName is in every mount point, so that no rmdir or rename makes an end of it.
const keepName = "a mount point"

// mount mounts a volume at a directory that is new, or at one where it was before.
func (w *world) mount() error {
	v := rapid.SampledFrom(w.nested).Draw(w.T, "volume")
	if v.at != "" {
		return w.unmount(v)
	}
	at := ""
	if known := w.pointsOf(v); len(known) > 0 && rapid.Bool().Draw(w.T, "where it was") {
		at = rapid.SampledFrom(known).Draw(w.T, "point")
	} else if len(v.was) > 0 && rapid.Bool().Draw(w.T, "where that was") {
		at = rapid.SampledFrom(v.was).Draw(w.T, "path")
		if err := w.point(at); err != nil {
			return err
		}
	} else {
		parent := filepath.Dir(w.path("point"))
		if w.blind != "" && strings.HasPrefix(parent, w.blind+"/") {
			parent = w.blind // No rename is seen there: what is mounted below a directory that gets another name is in a new place.
		}
		at = filepath.Join(parent, v.name())
		if err := w.point(at); err != nil {
			return err
		}
		v.was = append(v.was, at)
	}
	id, err := idOf(at)
	if err != nil {
		return err
	}
	if v.home != "" {
		err = unix.Mount(v.home, at, "", unix.MS_BIND, "")
	} else {
		err = unix.Mount(v.v.Device, at, v.v.FS, 0, "")
	}
	if err != nil {
		return err
	}
	v.at, v.id = at, id
	w.points[id] = v.n
	return nil
}

// name returns a name for a mount point that none has had.
func (v *nested) name() string {
	v.holds++
	return fmt.Sprintf("mount %d.%d", v.n, v.holds)
}

// point makes a mount point, unless it is there.
func (w *world) point(at string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(at, keepName), nil, 0o600)
}

// movePoint renames the mount point of a volume that is away.
func (w *world) movePoint() error {
	v := rapid.SampledFrom(w.nested).Draw(w.T, "volume")
	known := slices.DeleteFunc(w.pointsOf(v), func(path string) bool { return w.blind != "" && strings.HasPrefix(path, w.blind+"/") })
	to := filepath.Dir(w.path("point"))
	if len(known) == 0 || w.blind != "" && strings.HasPrefix(to+"/", w.blind+"/") {
		return syscall.ENOENT
	}
	return os.Rename(rapid.SampledFrom(known).Draw(w.T, "point"), filepath.Join(to, v.name()))
}

// unmount takes a volume away. It may be busy for another that is mounted in it, and for nothing else.
func (w *world) unmount(v *nested) error {
	at, err := w.find(v)
	if err != nil {
		return nil // It is below one that was taken away.
	}
	err = unix.Unmount(at, 0)
	if errors.Is(err, unix.EBUSY) && !w.carries(at) {
		w.Fatalf("umount %s: %v\n%s", at, err, w.mirror.log)
	}
	if err == nil {
		v.at = ""
	}
	return err
}

// find returns where a mounted volume is now: directories above it may have been renamed.
func (w *world) find(v *nested) (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	suffix := filepath.Base(v.at)
	for line := range strings.Lines(string(text)) {
		if point := unescape(strings.Fields(line)[4]); strings.HasPrefix(point, w.source+"/") && filepath.Base(point) == suffix {
			return point, nil
		}
	}
	return "", fs.ErrNotExist
}

// unescape undoes the octal escapes of mountinfo.
func unescape(point string) string {
	for _, c := range []string{" ", "\n", "\t"} {
		point = strings.ReplaceAll(point, fmt.Sprintf("\\%03o", c[0]), c)
	}
	return strings.ReplaceAll(point, `\134`, `\`)
}

func (w *world) carries(at string) bool {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(unescape(strings.Fields(line)[4]), at+"/") {
			return true
		}
	}
	return false
}

// walkPoints calls fn for the directories that volumes have been mounted at, and that are visible now.
func (w *world) walkPoints(root string, fn func(path string, volume int)) {
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			if id, err := idOf(path); err == nil {
				if n, ok := w.points[id]; ok {
					fn(path, n)
				}
			}
		}
		return nil
	})
}

func (w *world) pointsOf(v *nested) (list []string) {
	w.walkPoints(w.source, func(path string, n int) {
		if n == v.n {
			list = append(list, path)
		}
	})
	return list
}

// holdsPoint tells whether a tree has a mount point in it, which no operation may remove.
func (w *world) holdsPoint(tree string) bool {
	holds := false
	w.walkPoints(tree, func(string, int) { holds = true })
	for _, v := range w.nested {
		if at, err := w.find(v); v.at != "" && err == nil && strings.HasPrefix(at+"/", tree+"/") {
			holds = true
		}
	}
	return holds
}

// away lists the places whose volumes are away, relative to the source: their replica stays as it was.
func (w *world) away() map[string]bool {
	list := map[string]bool{}
	w.walkPoints(w.source, func(path string, _ int) { list[strings.TrimPrefix(path, w.source+"/")] = true })
	return list
}

// tellsOfAway waits until each directory of the source's own volume on which a volume was mounted is told of, as a place that
// is away, with what lies there, or is copied: one at which the volume was for a moment only may never have become a place.
func (w *world) tellsOfAway() {
	own, err := idOf(w.source)
	must(w, err)
	missed := ""
	defer func() {
		if missed != "" {
			w.Log(missed)
		}
	}()
	w.mirrorless("what is told of mount points", func() bool {
		status := w.mirror.m.Status()
		missed = ""
		w.walkPoints(w.source, func(path string, _ int) {
			id, err := idOf(path)
			if err != nil || id.dev != own.dev {
				return // It is seen where the volume around it is now.
			}
			rel := strings.TrimPrefix(path, w.source+"/")
			away := slices.ContainsFunc(status.Units, func(u replicate.UnitStatus) bool { return u.Place == path && u.Phase == replicate.PhaseSourceAbsent })
			beneath := slices.ContainsFunc(status.Problems, func(p replicate.Problem) bool {
				return p.Path == rel && strings.Contains(p.Reason, "bare mount point")
			})
			_, err = os.Lstat(filepath.Join(w.target, rel, keepName))
			if away != beneath || away == (err == nil) {
				missed = fmt.Sprintf("%q: away %v, told %v, copied %v", rel, away, beneath, err == nil)
			}
		})
		return missed == ""
	})
}

// unmountAll leaves the nested volumes empty for the next world.
func (w *world) unmountAll() {
	for range len(w.nested) {
		for _, v := range w.nested {
			if at, err := w.find(v); v.at != "" && err == nil {
				_ = unix.Unmount(at, unix.MNT_DETACH)
			}
		}
	}
	for _, v := range w.nested {
		v.at, v.holds, v.was = "", 0, nil
		at := v.home
		if at == "" {
			at = w.tb.TempDir()
			w.mirrorless("device", func() bool { return unix.Mount(v.v.Device, at, v.v.FS, 0, "") == nil })
		}
		list, _ := os.ReadDir(at)
		for _, e := range list {
			_ = os.RemoveAll(filepath.Join(at, e.Name()))
		}
		if v.home == "" {
			_ = unix.Unmount(at, unix.MNT_DETACH)
		}
	}
}
