package fanotify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/plane/planetest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

// ids numbers the volumes of a test run.
type ids struct{ last atomic.Uint64 }

func (i *ids) next() weir.VolumeID { return weir.VolumeID(i.last.Add(1)) }

// real is a mounted file system as the plane sees volumes.
type real struct {
	id   weir.VolumeID
	fs   string
	dir  string
	dev  uint64
	kept *voltest.Volume // nil for mounts that the test made itself
}

func newReal(t testing.TB, i *ids, fs string, options ...voltest.Option) *real {
	t.Helper()
	v := voltest.New(t, fs, options...)
	r := at(t, i, fs, v.Dir)
	r.kept = v
	return r
}

// at describes what is mounted at dir.
func at(t testing.TB, i *ids, fs, dir string) *real {
	t.Helper()
	dev, err := deviceOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &real{id: i.next(), fs: fs, dir: dir, dev: dev}
}

func deviceOf(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Dev, nil
}

func (r *real) ID() weir.VolumeID { return r.id }

func (r *real) Info() weir.VolumeInfo {
	return weir.VolumeInfo{
		ID: r.id, Source: "test", Identity: weir.Identity{FSType: r.fs},
		Mounts: []weir.Mount{{Point: "/nowhere", Root: "/"}, {Own: true, Root: "/", Point: r.dir}},
	}
}

type realLease struct {
	file *os.File
	once sync.Once
}

func (l *realLease) FD() int               { return int(l.file.Fd()) }
func (l *realLease) Done() <-chan struct{} { return nil }
func (l *realLease) Close() (err error) {
	l.once.Do(func() { err = l.file.Close() })
	return err
}

func (r *real) Borrow(_ context.Context, path string) (weir.Lease, error) {
	if path == "" {
		path = r.dir
	}
	dev, err := deviceOf(path)
	if err != nil || dev != r.dev {
		return nil, &weir.Error{Op: "borrow volume", Kind: weir.KindAbsent, Path: path, Err: errors.Join(err, errors.New("another volume is there"))}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &realLease{file: file}, nil
}

// Locate is not what planes need.
func (r *real) Locate(context.Context, []weir.Handle) (map[weir.Handle]string, error) {
	return nil, errors.ErrUnsupported
}

func (r *real) path(name string) string       { return filepath.Join(r.dir, name) }
func (r *real) Mkdir(name string) error       { return os.Mkdir(r.path(name), 0o755) }
func (r *real) Chmod(name string) error       { return os.Chmod(r.path(name), 0o700) }
func (r *real) Link(old, name string) error   { return os.Link(r.path(old), r.path(name)) }
func (r *real) Rename(old, name string) error { return os.Rename(r.path(old), r.path(name)) }
func (r *real) Remove(name string) error      { return os.Remove(r.path(name)) }
func (r *real) Write(name string) error       { return os.WriteFile(r.path(name), []byte("content"), 0o644) }

func (r *real) Read(name string) error {
	_, err := os.ReadFile(r.path(name))
	return err
}

func (r *real) Create(name string) error {
	file, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

func (r *real) Handle(name string) (weir.Handle, error) {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, r.path(name), 0)
	if err != nil {
		return "", err
	}
	kind := h.Type()
	return weir.Handle([]byte{byte(kind), byte(kind >> 8), byte(kind >> 16), byte(kind >> 24)}) + weir.Handle(h.Bytes()), nil
}

func newPlane(t testing.TB, o Options) *Plane {
	t.Helper()
	p := New(o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func fixture(fs string, o Options) planetest.Fixture {
	i := new(ids)
	return planetest.Fixture{
		Plane:  func(t *testing.T) weir.Plane { return newPlane(t, o) },
		Volume: func(t *testing.T) planetest.Volume { return newReal(t, i, fs) },
		Unmount: func(t *testing.T, v planetest.Volume) {
			if kept := v.(*real).kept; kept.Mounted() {
				kept.Unmount()
			}
		},
	}
}

func TestConformance(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) { planetest.Run(t, fixture(fs, Options{})) })
	}
}

func TestConformanceOfSharers(t *testing.T) {
	planetest.Run(t, fixture("tmpfs", Options{Groups: 1}))
}
