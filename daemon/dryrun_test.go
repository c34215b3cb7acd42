package daemon

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// objects returns what each path of a replica is: an inode, of one generation.
func objects(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".weir" {
			return filepath.SkipDir
		}
		handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
		if err == nil && path != dir {
			all[strings.TrimPrefix(path, dir+"/")] = string(handle.Bytes())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// foretold is what a dry run has told, by act.
type foretold map[replicate.Act]map[string]replicate.Change

func (f foretold) has(path string, acts ...replicate.Act) bool {
	return slices.ContainsFunc(acts, func(a replicate.Act) bool { _, ok := f[a][path]; return ok })
}

// carried tells whether a directory of the path is renamed.
func (f foretold) carried(path string) bool {
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		if f.has(dir, replicate.ActRename) {
			return true
		}
	}
	return false
}

func foretell(t *testing.T, o Options) (foretold, int64) {
	t.Helper()
	told := foretold{}
	total, err := DryRun(t.Context(), o, func(c replicate.Change) {
		if told[c.Act] == nil {
			told[c.Act] = map[string]replicate.Change{}
		}
		told[c.Act][c.Path] = c
	})
	if err != nil {
		t.Fatal(err)
	}
	return told, total[0].Held
}

func once(t *testing.T, o Options) (replicate.Status, error) {
	t.Helper()
	m, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	err = m.Run(t.Context(), true)
	return m.Status(), err
}

// agree runs dry and then in earnest, and compares.
func agree(t *testing.T, o Options) {
	t.Helper()
	before := map[string]string{}
	if !absent(o.Targets[0]) {
		before = objects(t, o.Targets[0])
	}
	old := map[string]bool{}
	for _, ino := range before {
		old[ino] = true
	}
	if parked := filepath.Join(o.Targets[0], ".weir/parked"); !absent(parked) {
		for _, ino := range objects(t, parked) {
			old[ino] = true
		}
	}
	told, held := foretell(t, o)
	status, err := once(t, o)
	if (err != nil) != (held > 0) || err != nil && weir.KindOf(err) != weir.KindDiffers {
		t.Errorf("%d deletions should be held, and the run ends with %v", held, err)
	}
	after := objects(t, o.Targets[0])
	for path, ino := range after {
		isNew := told.has(path, replicate.ActCopy, replicate.ActUpdate) || told[replicate.ActRename][path].Reason != ""
		linked, moved := told.has(path, replicate.ActLink), told.has(path, replicate.ActRename) || told.carried(path)
		switch {
		case !old[ino] && !isNew && !linked:
			t.Errorf("%q is new, which was not told", path)
		case old[ino] && told.has(path, replicate.ActCopy):
			t.Errorf("%q is not new, which was told", path)
		case old[ino] && before[path] != ino && !moved && !linked:
			t.Errorf("%q has another name, which was not told", path)
		}
	}
	for path := range before {
		_, stays := after[path]
		gone := told.has(path, replicate.ActAside) || told.left(path)
		if stays == gone && !told.taken(path) {
			t.Errorf("%q stays: %v, and what was told is else", path, stays)
		}
	}
	for path, c := range told[replicate.ActDelete] {
		_, stays := after[path]
		if strings.HasPrefix(path, ".weir/") {
			stays = !absent(filepath.Join(o.Targets[0], path))
		}
		if stays != (c.Reason != "") && !told.taken(path) {
			t.Errorf("%q stays: %v, and what was told is %q", path, stays, c.Reason)
		}
	}
	var deleted, over int64
	for path, c := range told[replicate.ActDelete] {
		switch {
		case c.Reason != "":
		case told.taken(path):
			over++ // perhaps in one step
		default:
			deleted++
		}
	}
	if status.Removed < deleted || status.Removed > deleted+over {
		t.Errorf("%d names were removed, %d to %d foretold", status.Removed, deleted, deleted+over)
	}
	if held > 0 || t.Failed() {
		for act, list := range told {
			for path, c := range list {
				t.Logf("told: %s %q from %q %s", act, path, c.From, c.Reason)
			}
		}
		return
	}
	if found, err := comparer.Compare(o.Source, o.Targets[0], comparer.Options{}); err != nil || len(found) > 0 {
		t.Errorf("not equal: %v %v", found, err)
	}
	if told, _ := foretell(t, o); len(told) > 0 {
		t.Errorf("after the run there is yet to do: %v", told)
	}
}

// left tells whether a path is deleted, or leaves with itself or a directory to another name.
func (f foretold) left(path string) bool {
	if c, ok := f[replicate.ActDelete][path]; ok {
		return c.Reason == ""
	}
	for at := path; at != "."; at = filepath.Dir(at) {
		for _, c := range f[replicate.ActRename] {
			if c.From == at {
				return true
			}
		}
		if at != path && f.has(at, replicate.ActAside) {
			return true
		}
	}
	return false
}

// taken tells whether something else comes to a path that something has left.
func (f foretold) taken(path string) bool {
	return f.has(path, replicate.ActCopy, replicate.ActUpdate, replicate.ActRename, replicate.ActLink) || f.carried(path)
}

func TestDryRunIsTrueToTheRun(t *testing.T) {
	voltest.RequireRoot(t)
	for name, scene := range map[string]func(t *testing.T, src, dst string){
		"moved into a later directory":   func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"/z/m") },
		"moved into an earlier one":      func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"/a/m") },
		"renamed":                        func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"/n") },
		"moved, and a little is deleted": func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"/z/m"); lose(t, src+"/z/m", 2) },
		"moved, and a lot is deleted":    func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"/z/m"); lose(t, src+"/z/m", 20) },
		"moved away":                     func(t *testing.T, src, _ string) { rename(t, src+"/m", src+"-away") },
		"moved away in small parts": func(t *testing.T, src, _ string) {
			mkdir(t, src+"-away")
			for n := range 3 {
				rename(t, src+"/m/"+fmt.Sprint(n), src+"-away/"+fmt.Sprint(n))
			}
		},
		"swapped": func(t *testing.T, src, _ string) {
			rename(t, src+"/m", src+"/x")
			rename(t, src+"/z", src+"/m")
			rename(t, src+"/x", src+"/z")
		},
		"the source itself was changed": func(t *testing.T, src, _ string) {
			if err := os.Chmod(src, 0o711); err != nil {
				t.Fatal(err)
			}
		},
		"a directory of the replica was changed": func(t *testing.T, _, dst string) {
			if err := os.Chmod(dst+"/m", 0o711); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := dryScene(t)
			scene(t, o.Source, o.Targets[0])
			agree(t, o)
		})
	}
}

// TestDryRunTellsWhatIsTakenOver has a target that somebody else has made, of the same files.
func TestDryRunTellsWhatIsTakenOver(t *testing.T) {
	o := dryScene(t)
	o.Targets[0] += "2"
	o.State, o.Adopt = o.State+"2", true
	if err := runTool("cp", "-a", o.Source, o.Targets[0]); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/m", "/a/1"} {
		if err := os.Chmod(o.Targets[0]+path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(o.Targets[0]+"/z", "user.a", []byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	told, _ := foretell(t, o)
	for path, c := range told[replicate.ActTake] {
		if sets := slices.Contains([]string{"m", "a/1", "z"}, path); sets != (c.Reason != "") {
			t.Errorf("told of %q: %q", path, c.Reason)
		}
	}
	if len(told) != 1 || len(told[replicate.ActTake]) != 93 {
		t.Errorf("told %v", told)
	}
	agree(t, o)
}

// lose deletes files.
func lose(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		remove(t, filepath.Join(dir, fmt.Sprint(i)))
	}
}

// dryScene is a replica with three directories and a brake that lets ten deletions pass.
func dryScene(t *testing.T) Options {
	t.Helper()
	dir := voltest.New(t, "ext4").Dir
	limit, err := policy.ParseBrake("10")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Source: mkdir(t, dir+"/s"), Targets: []string{dir + "/r"}, State: dir + "/state", Brake: limit}
	for _, sub := range []string{"a", "m", "z"} {
		mkdir(t, filepath.Join(o.Source, sub))
		for n := range 30 {
			write(t, filepath.Join(o.Source, sub, fmt.Sprint(n)), sub)
		}
	}
	if _, err := once(t, o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestDryRunOfRandomChanges changes a tree at random, again and again.
func TestDryRunOfRandomChanges(t *testing.T) {
	voltest.RequireRoot(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := voltest.New(t, "ext4").Dir
			limit, err := policy.ParseBrake("off")
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Source: mkdir(t, dir+"/s"), Targets: []string{dir + "/r"}, State: dir + "/state", Brake: limit}
			r := rand.New(rand.NewPCG(seed, 0))
			for range 4 {
				for range 25 {
					disturb(r, o.Source)
				}
				if agree(t, o); t.Failed() {
					return
				}
			}
		})
	}
}

// disturb does something to a tree that may fail, since names are few.
func disturb(r *rand.Rand, dir string) {
	path := func() string {
		p := dir
		for range 1 + r.IntN(3) {
			p = filepath.Join(p, string(rune('a'+r.IntN(5))))
		}
		return p
	}
	switch p := path(); r.IntN(10) {
	case 0, 1:
		_ = os.Mkdir(p, 0o755)
	case 2, 3, 4:
		_ = os.WriteFile(p, []byte(fmt.Sprint(r.IntN(1000))), 0o644)
	case 5, 6:
		_ = os.Rename(p, path())
	case 7:
		_ = os.RemoveAll(p)
	case 8:
		_ = os.Chmod(p, fs.FileMode(0o700+r.IntN(64)))
	case 9:
		_ = os.Symlink("somewhere", p)
	}
}
