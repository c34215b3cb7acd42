package daemon

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/policy"
)

// TestRulesOfPathsHoldAtTheStart replicates a tree that was there before weir, of which rules leave out what has a
// certain path, and then moves directories to where other rules hold.
func TestRulesOfPathsHoldAtTheStart(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		for _, rel := range []string{"src/lib/l", "src/main", "other/o", "home/me/.cache/big", "home/me/kept", "a/b/c/d/x", "a/b/c/y", "m/n/o"} {
			mkdir(t, filepath.Dir(s.in(rel)))
			write(t, s.in(rel), rel)
		}
		var err error
		if s.o.Rules, err = policy.ParseRules([]string{"/home/me/.cache", "a/b/c/d/", "/m/n/o", "/other/*"}); err != nil {
			t.Fatal(err)
		}
		check := func(want ...string) {
			t.Helper()
			s.awaitPhase(s.src, replicate.PhaseInSync)
			slices.Sort(want)
			s.await("the names", func() bool { return slices.Equal(files(t, s.dst), want) })
		}
		s.begin()
		check("a/b/c/y", "home/me/kept", "src/lib/l", "src/main")
		s.end()
		s.begin()
		check("a/b/c/y", "home/me/kept", "src/lib/l", "src/main")

		rename(t, s.in("a/b/c"), s.in("elsewhere"))
		rename(t, s.in("other"), s.in("open"))
		check("elsewhere/d/x", "elsewhere/y", "home/me/kept", "open/o", "src/lib/l", "src/main")
		s.end()
	})
}

// files returns the paths of all that is no directory below dir, sorted, without those of weir.
func files(t testing.TB, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != dir:
			return nil // It was renamed on the replica meanwhile.
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == target.HiddenDir:
			return fs.SkipDir
		case !entry.IsDir():
			rel, err := filepath.Rel(dir, path)
			list = append(list, rel)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
