package daemon

import (
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// forge gives a file other content of the same size and puts its time back.
func forge(t *testing.T, path, content string) {
	t.Helper()
	info, err := os.Stat(path)
	ok(t, err)
	overwrite(t, path, content)
	ok(t, os.Chtimes(path, time.Time{}, info.ModTime()))
}

// TestDryRunSeesWhatSomebodyElseHasChanged has somebody change a replica in every way that leaves its names as they are.
func TestDryRunSeesWhatSomebodyElseHasChanged(t *testing.T) {
	voltest.RequireRoot(t)
	o := dryScene(t)
	src, dst := o.Source, o.Targets[0]
	past := time.Unix(978307200, 0)
	rename(t, src+"/a/7", src+"/z/seven")
	forge(t, dst+"/a/7", "Z")
	forge(t, dst+"/a/2", "Z")
	err := errors.Join(
		os.Chtimes(dst+"/a/1", past, past), os.Chtimes(src+"/a/5", past, past), os.Chtimes(dst+"/m", past, past),
		os.Chmod(dst+"/a/3", 0o600), os.Chmod(src+"/a/6", 0o600),
		unix.Setxattr(dst+"/a/4", "user.x", []byte("x"), 0), unix.Setxattr(dst, "user.x", []byte("x"), 0))
	if err != nil {
		t.Fatal(err)
	}
	told := map[replicate.Act][]string{}
	totals, err := DryRun(t.Context(), o, func(c replicate.Change) { told[c.Act] = append(told[c.Act], c.Path) })
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range told {
		slices.Sort(list)
	}
	want := map[replicate.Act][]string{
		replicate.ActUpdate:   {"a/1", "a/2", "a/5"},
		replicate.ActRename:   {"z/seven"},
		replicate.ActMetadata: {"", "a", "a/3", "a/4", "a/6", "m", "z"},
	}
	if !maps.EqualFunc(told, want, slices.Equal) {
		t.Errorf("told %v, want %v", told, want)
	}
	status, err := once(t, o)
	if err != nil {
		t.Fatal(err)
	}
	const compared, copied = 5, 4 // files of one byte
	if status.Copied != copied || status.Read != totals[0].Bytes || totals[0].Bytes != compared+copied {
		t.Errorf("%d files were copied, and %d bytes read, %d foretold", status.Copied, status.Read, totals[0].Bytes)
	}
	if found, err := comparer.Compare(src, dst, comparer.Options{}); err != nil || len(found) > 0 {
		t.Errorf("not equal: %v %v", found, err)
	}
	if told, _ := foretell(t, o); len(told) > 0 {
		t.Errorf("after the run there is yet to do: %v", told)
	}
}
