package volume

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/voltest"
)

// mapped maps a new file shared and writable, closes it, and returns its handle.
func mapped(t *testing.T, path string) (weir.Handle, []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		defer f.Close()
		err = f.Truncate(4096)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	h, err := handle.OfPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return weir.Handle(h), data
}

func TestUnreported(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		other := voltest.New(t, "tmpfs")
		bind := filepath.Join(t.TempDir(), "bind")
		if err := os.Mkdir(bind, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(v.Dir, bind, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(bind, unix.MNT_DETACH)
		direct, directData := mapped(t, filepath.Join(v.Dir, "direct"))
		bound, boundData := mapped(t, filepath.Join(bind, "bound"))
		_, foreign := mapped(t, filepath.Join(other.Dir, "foreign"))
		image := filepath.Join(v.Dir, "image")
		if err := os.WriteFile(image, make([]byte, 65536), 0o600); err != nil {
			t.Fatal(err)
		}
		voltest.Loop(t, image)
		looped, err := handle.OfPath(image)
		if err != nil {
			t.Fatal(err)
		}

		w := New(Options{})
		shown, err := w.At(v.Dir)
		if err != nil {
			t.Fatal(err)
		}
		before := fd.Open()
		found, err := w.Unreported(context.Background(), []weir.Volume{shown})
		if err != nil {
			t.Fatal(err)
		}
		if n := fd.Open() - before; n != 0 {
			t.Errorf("%d descriptors are left open", n)
		}
		want := map[weir.Handle]bool{direct: true, bound: true, weir.Handle(looped): false}
		if len(found) != 1 || len(found[shown.ID()]) != len(want) {
			t.Errorf("found %v, want %v", found, want)
		}
		for h, is := range want {
			if got, ok := found[shown.ID()][h]; !ok || got != is {
				t.Errorf("%x: listed %v as %v, want %v", h, ok, got, is)
			}
		}
		for _, data := range [][]byte{directData, boundData, foreign} {
			if err := unix.Munmap(data); err != nil {
				t.Fatal(err)
			}
		}
		if found, err = w.Unreported(context.Background(), []weir.Volume{shown}); err != nil || len(found[shown.ID()]) != 1 {
			t.Errorf("after the last unmap: %v, %v", found, err)
		}
	})
}

// TestUnreportedKeepsNothingBusy unmounts a volume, again and again, that is listed all the time.
func TestUnreportedKeepsNothingBusy(t *testing.T) {
	v := voltest.New(t, "ext4")
	w := New(Options{})
	shown, err := w.At(v.Dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = w.Unreported(ctx, []weir.Volume{shown})
		}
	}()
	for range 30 {
		_, data := mapped(t, filepath.Join(v.Dir, "mapped"))
		time.Sleep(time.Millisecond)
		if err := unix.Munmap(data); err != nil {
			t.Fatal(err)
		}
		if err := unix.Unmount(v.Dir, 0); err != nil {
			t.Errorf("umount: %v", err)
		}
		v.Mount()
	}
	cancel()
	<-done
}
