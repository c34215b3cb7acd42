package volume

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/voltest"
)

func handleOf(t *testing.T, dir string) weir.Handle {
	t.Helper()
	h, err := handle.OfPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	return weir.Handle(h)
}

func TestDirectoriesAreLocated(t *testing.T) {
	voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
		w, _ := start(t, Options{})
		inner, odd, gone := d.Dir+"/a/b", d.Dir+"/a/odd\n (deleted)", d.Dir+"/gone"
		for _, dir := range []string{inner, odd, gone} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		want := map[weir.Handle]string{
			handleOf(t, d.Dir): "/", handleOf(t, d.Dir+"/a"): "/a", handleOf(t, inner): "/a/b", handleOf(t, odd): "/a/odd\n (deleted)",
		}
		handles := []weir.Handle{handleOf(t, gone), "", "\x01\x00\x00\x00nonsense"}
		for h := range want {
			handles = append(handles, h)
		}
		kept, err := os.Open(gone) // its inode lives on
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		v := mustAt(t, w, d.Dir)
		sameNames(t, v, handles, want) // It has been examined then, too.
		opened := fd.Open()
		sameNames(t, v, handles, want)
		if now := fd.Open(); now != opened {
			t.Errorf("%d descriptors are open, before it were %d", now, opened)
		}
	})
}

func sameNames(t *testing.T, v weir.Volume, handles []weir.Handle, want map[weir.Handle]string) {
	t.Helper()
	got, err := v.Locate(t.Context(), handles)
	if err != nil {
		t.Fatal(err)
	}
	for h, name := range want {
		if got[h] != name {
			t.Errorf("found %q, want %q", got[h], name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestDirectoriesOfPartsAreLocated unmounts the whole, so that two directories of the volume are shown.
func TestDirectoriesOfPartsAreLocated(t *testing.T) {
	w, _ := start(t, Options{})
	d := voltest.New(t, "ext4")
	for _, dir := range []string{"/one/in", "/two/in", "/hidden/one/in", "/in"} {
		if err := os.MkdirAll(d.Dir+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	want := map[weir.Handle]string{
		handleOf(t, d.Dir+"/one"): "/one", handleOf(t, d.Dir+"/one/in"): "/one/in", handleOf(t, d.Dir+"/two/in"): "/two/in",
	}
	// What is not shown has a path, too, by which another directory is found.
	handles := []weir.Handle{handleOf(t, d.Dir+"/in"), handleOf(t, d.Dir+"/hidden/one/in"), handleOf(t, d.Dir)}
	for h := range want {
		handles = append(handles, h)
	}
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	voltest.Bind(t, d.Dir+"/one", one)
	voltest.Bind(t, d.Dir+"/two", two)
	v := mustAt(t, w, d.Dir)
	voltest.Unmount(t, d.Dir)
	sameNames(t, v, handles, want)
	voltest.Unmount(t, one)
	voltest.Unmount(t, two)
	if found, err := v.Locate(t.Context(), handles); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("found %q on a volume that has left, %v", found, err)
	}
}
