package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// content makes a file with data at some places, and holes elsewhere.
type content struct {
	name     string
	size     int64
	data     [][2]int64 // offset, length
	prealloc [][2]int64 // allocated and not written
}

func contents() []content {
	const k, m = 1 << 10, 1 << 20
	return []content{
		{"empty", 0, nil, nil},
		{"byte", 1, [][2]int64{{0, 1}}, nil},
		{"odd", 300_001, [][2]int64{{0, 300_001}}, nil},
		{"whole", 2 * m, [][2]int64{{0, 2 * m}}, nil},
		{"hole at the end", 4 * m, [][2]int64{{0, 64 * k}}, nil},
		{"hole at the start", 4 * m, [][2]int64{{4*m - 64*k, 64 * k}}, nil},
		{"hole only", 4*m + 5, nil, nil},
		{"islands", 8*m + 77, [][2]int64{{m, 64 * k}, {3 * m, 4 * k}, {8 * m, 77}}, nil},
		{"preallocated", 4 * m, [][2]int64{{m, 64 * k}}, [][2]int64{{0, 4 * m}}},
		{"preallocated behind the end", m, [][2]int64{{0, m}}, [][2]int64{{m, m}}},
		{"small", 100_001, [][2]int64{{0, 100_001}}, nil},
		{"small with a hole", 100_001, [][2]int64{{0, 4 * k}, {96 * k, 4 * k}}, nil},
		{"small, preallocated", 100_001, [][2]int64{{0, 4 * k}}, [][2]int64{{0, 128 * k}}},
	}
}

func (c content) write(t testing.TB, path string, seed uint64) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(c.size))
	for _, p := range c.prealloc {
		must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, p[0], p[1]))
	}
	for _, d := range c.data {
		_, err := f.WriteAt(noise(seed, d[1]), d[0])
		must(t, err)
	}
}

// noise is n bytes that do not compress.
func noise(seed uint64, n int64) []byte {
	var key [32]byte
	key[0] = byte(seed)
	buf := make([]byte, n)
	rand.NewChaCha8(key).Read(buf)
	return buf
}

func copyFile(t testing.TB, from *Dir, src string, to *Dir, base string, o CopyOptions) (*File, CopyResult) {
	t.Helper()
	s := got[*File](t)(from.OpenFile(src))
	defer s.Close()
	var b *File
	if base != "" {
		b = got[*File](t)(to.OpenFile(base))
		defer b.Close()
	}
	RemoveAll(to, "copy")
	f := got[*File](t)(to.CreateTemp("copy"))
	t.Cleanup(func() { f.Close() })
	seen := got[Object](t)(s.Stat())
	o.Source = &seen
	var told CopyResult
	o.Progress = func(read, written int64) {
		if told.Read, told.Written = told.Read+read, told.Written+written; read > copyInside || written > copyInside {
			t.Errorf("told of %d bytes read and %d written at once", read, written)
		}
	}
	r, err := CopyData(t.Context(), f, s, b, o)
	must(t, err)
	if told.Read != r.Read || told.Written != r.Written {
		t.Errorf("told of %d bytes read and %d written, of %+v", told.Read, told.Written, r)
	}
	if same, err := SameData(t.Context(), f, s); !same || err != nil {
		t.Errorf("not the same: %v", err)
	}
	return f, r
}

func TestCopyBetweenVolumes(t *testing.T) {
	for _, source := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		for _, target := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
			t.Run(source+" to "+target, func(t *testing.T) {
				a, b := voltest.New(t, source), voltest.New(t, target)
				from, to := root(t, a.Dir), root(t, b.Dir)
				var pair Pair
				for _, c := range contents() {
					c.write(t, a.Dir+"/file", 1)
					f, r := copyFile(t, from, "file", to, "", CopyOptions{Pair: &pair})
					checkCopy(t, c, a.Dir+"/file", b.Dir+"/copy", f, r)
				}
			})
		}
	}
}

// checkCopy compares with code that is not under test, and looks that holes are holes.
func checkCopy(t *testing.T, c content, src, dst string, f *File, r CopyResult) {
	t.Helper()
	x, y := got[[]byte](t)(os.ReadFile(src)), got[[]byte](t)(os.ReadFile(dst))
	if !bytes.Equal(x, y) {
		t.Errorf("%s: different bytes", c.name)
	}
	var data int64
	for _, d := range c.data {
		data += d[1]
	}
	slack := int64(len(c.data)+1) * 8192
	if r.Written > data+slack || r.Read > data+slack {
		t.Errorf("%s: %+v for %d bytes of data", c.name, r, data)
	}
	// What has been read of a hole stays in memory, where xfs takes it for data.
	if strings.Contains(dst, "/xfs/") {
		must(t, f.Datasync())
		must(t, unix.Fadvise(f.FD(), 0, 0, unix.FADV_DONTNEED))
	}
	if c.prealloc != nil && strings.Contains(dst, "/btrfs/") {
		return // where blocks are shared, btrfs reports them as data or as a hole, as it pleases
	}
	if holes := got[int64](t)(holeBytes(f)); holes < c.size-data-slack {
		t.Errorf("%s: %d bytes of holes, want %d", c.name, holes, c.size-data)
	}
}

func TestCopyOnOneVolume(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		d := root(t, v.Dir)
		reflinks := v.FS == "xfs" || v.FS == "btrfs"
		var pair Pair
		for _, c := range contents() {
			for _, noClone := range []bool{false, true} {
				c.write(t, v.Dir+"/file", 1)
				f, r := copyFile(t, d, "file", d, "", CopyOptions{NoClone: noClone, Pair: &pair})
				checkCopy(t, c, v.Dir+"/file", v.Dir+"/copy", f, r)
				if want := reflinks && !noClone && c.size > 0; r.Cloned != want {
					t.Errorf("%s: cloned %v", c.name, r.Cloned)
				}
			}
		}
	})
}

func TestCopyWithBase(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		v = voltest.New(t, v.FS, voltest.Size(512<<20))
		d := root(t, v.Dir)
		source := voltest.New(t, "ext4")
		from := root(t, source.Dir)
		all := contents()
		for _, old := range all[2:9] {
			if strings.HasPrefix(old.name, "hole at") || old.name != "whole" && (v.FS == "ext4" || v.FS == "tmpfs") {
				continue // without shared blocks the old version does not matter
			}
			for _, c := range all {
				old.write(t, v.Dir+"/old", 2)
				c.write(t, source.Dir+"/file", 1)
				f, r := copyFile(t, from, "file", d, "old", CopyOptions{})
				checkCopy(t, c, source.Dir+"/file", v.Dir+"/copy", f, r)
				x := got[[]byte](t)(os.ReadFile(v.Dir + "/old"))
				for _, p := range old.data {
					if !bytes.Equal(x[p[0]:p[0]+p[1]], noise(2, p[1])) {
						t.Errorf("%s became %s: the old version has changed", old.name, c.name)
					}
				}
			}
		}
	})
}

func TestDeltaWritesOnlyWhatDiffers(t *testing.T) {
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			v, source := voltest.New(t, fs), voltest.New(t, "ext4")
			c := content{"big", 20 << 20, [][2]int64{{0, 20 << 20}}, nil}
			c.write(t, source.Dir+"/file", 1)
			c.write(t, v.Dir+"/old", 1)
			f := got[*os.File](t)(os.OpenFile(source.Dir+"/file", os.O_WRONLY, 0))
			for _, at := range []int64{0, 5<<20 + 100, 20<<20 - 1} {
				got[int](t)(f.WriteAt([]byte{'x'}, at))
			}
			must(t, f.Close())
			_, r := copyFile(t, root(t, source.Dir), "file", root(t, v.Dir), "old", CopyOptions{})
			if r.Written != 3*block || r.Read != 20<<20 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestHugeSparseFiles(t *testing.T) {
	v, target := voltest.New(t, "xfs"), voltest.New(t, "btrfs")
	small := voltest.New(t, "ext4")
	f := got[*os.File](t)(os.Create(v.Dir + "/file"))
	const size = 1<<63 - 1 - 4096
	must(t, f.Truncate(size))
	for _, at := range []int64{0, 1 << 50, size - 5000} {
		got[int](t)(f.WriteAt([]byte("data"), at))
	}
	must(t, f.Close())
	from := root(t, v.Dir)
	for _, to := range []*Dir{from, root(t, target.Dir)} {
		c, r := copyFile(t, from, "file", to, "", CopyOptions{NoClone: true})
		if r.Written > 64<<10 {
			t.Errorf("%+v", r)
		}
		if o := got[Object](t)(c.Stat()); o.Size != size || o.Blocks*512 > 256<<10 {
			t.Errorf("%+v", o)
		}
	}
	to := root(t, small.Dir)
	s := got[*File](t)(from.OpenFile("file"))
	defer s.Close()
	d := got[*File](t)(to.CreateTemp("copy"))
	defer d.Close()
	if _, err := CopyData(t.Context(), d, s, nil, CopyOptions{}); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("on ext4: %v", err)
	}
}

func TestCopyIsThrottledAndCancelled(t *testing.T) {
	a, b := voltest.New(t, "ext4"), voltest.New(t, "xfs")
	content{"", 10 << 20, [][2]int64{{0, 10 << 20}}, nil}.write(t, a.Dir+"/file", 1)
	from, to := root(t, a.Dir), root(t, b.Dir)
	var told int64
	_, r := copyFile(t, from, "file", to, "", CopyOptions{Throttle: func(_ context.Context, n int) error {
		told += int64(n)
		return nil
	}})
	if told != 10<<20 || r.Read != told {
		t.Errorf("told of %d, %+v", told, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := got[*File](t)(from.OpenFile("file"))
	defer s.Close()
	for _, target := range []*Dir{from, to} {
		d := got[*File](t)(target.CreateTemp("second"))
		defer d.Close()
		r, err := CopyData(ctx, d, s, nil, CopyOptions{Throttle: func(context.Context, int) error { cancel(); return nil }})
		if !errors.Is(err, context.Canceled) || r.Read > 4<<20 {
			t.Errorf("%v, %+v", err, r)
		}
	}
}

func TestCopyOfAFileThatShrinks(t *testing.T) {
	a, b := voltest.New(t, "ext4"), voltest.New(t, "xfs")
	content{"", 4 << 20, [][2]int64{{0, 4 << 20}}, nil}.write(t, a.Dir+"/file", 1)
	for name, to := range map[string]*Dir{"same": root(t, a.Dir), "other": root(t, b.Dir)} {
		must(t, os.Truncate(a.Dir+"/file", 4<<20))
		s := got[*File](t)(root(t, a.Dir).OpenFile("file"))
		defer s.Close()
		d := got[*File](t)(to.CreateTemp("copy"))
		defer d.Close()
		_, err := CopyData(t.Context(), d, s, nil, CopyOptions{Throttle: func(context.Context, int) error {
			return os.Truncate(a.Dir+"/file", 1000)
		}})
		must(t, err)
		if o := got[Object](t)(d.Stat()); o.Size != 1000 {
			t.Errorf("%s: size %d", name, o.Size)
		}
	}
}

func TestFullTarget(t *testing.T) {
	a, b := voltest.New(t, "tmpfs"), voltest.New(t, "tmpfs", voltest.Size(1<<20))
	content{"", 4 << 20, [][2]int64{{0, 4 << 20}}, nil}.write(t, a.Dir+"/file", 1)
	s := got[*File](t)(root(t, a.Dir).OpenFile("file"))
	defer s.Close()
	d := got[*File](t)(root(t, b.Dir).CreateTemp("copy"))
	defer d.Close()
	if _, err := CopyData(t.Context(), d, s, nil, CopyOptions{}); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func TestSameData(t *testing.T) {
	dir := voltest.New(t, "ext4").Dir
	d := root(t, dir)
	all := append(contents(), content{"zeros", 4 << 20, nil, nil})
	for i, c := range all {
		c.write(t, fmt.Sprint(dir, "/", i), 1)
	}
	shell(t, dir, fmt.Sprintf("head -c %d /dev/zero > %d", 4<<20, len(all)-1))
	read := func(i int) string { return string(got[[]byte](t)(os.ReadFile(fmt.Sprint(dir, "/", i)))) }
	for i := range all {
		for j := range all {
			a, b := got[*File](t)(d.OpenFile(fmt.Sprint(i))), got[*File](t)(d.OpenFile(fmt.Sprint(j)))
			at := got[int64](t)(firstDifference(t.Context(), a, b, nil))
			x, y := read(i), read(j)
			want := int64(-1)
			if x != y {
				n := min(len(x), len(y))
				for want = 0; want < int64(n) && x[want] == y[want]; want++ {
				}
			}
			if at != want {
				t.Errorf("%s and %s differ at %d, want %d", all[i].name, all[j].name, at, want)
			}
			a.Close()
			b.Close()
		}
	}
}

// A file system that tells no holes has one range of data.
func TestHolesWithoutHelp(t *testing.T) {
	dir := voltest.New(t, "ext4").Dir
	c := copier{ctx: t.Context(), size: 1 << 20, zeros: true, buf: make([]byte, copyBuffer)}
	d := root(t, dir)
	src, dst := got[*File](t)(d.CreateTemp("src")), got[*File](t)(d.CreateTemp("dst"))
	defer src.Close()
	defer dst.Close()
	data := []byte(strings.Repeat("x", 5000))
	for _, at := range []int64{0, 300_000, 1<<20 - 5000} {
		got[int](t)(src.WriteAt(data, at))
	}
	must(t, unix.Ftruncate(dst.FD(), c.size))
	c.src, c.dst = src.FD(), dst.FD()
	must(t, c.copyRange(0, c.size))
	if same := got[bool](t)(SameData(t.Context(), src, dst)); !same || c.result.Written > 8*block {
		t.Errorf("same %v, %+v", same, c.result)
	}
}

func TestPairRemembersThatNothingIsShared(t *testing.T) {
	a, b := voltest.New(t, "xfs"), voltest.New(t, "xfs")
	from, to := root(t, a.Dir), root(t, b.Dir)
	content{"", 100_000, [][2]int64{{0, 100_000}}, nil}.write(t, a.Dir+"/file", 1)
	var own, other Pair
	for range 2 {
		if _, r := copyFile(t, from, "file", from, "", CopyOptions{Pair: &own}); !r.Cloned || own.isApart() {
			t.Errorf("on one file system: %+v", r)
		}
		if _, r := copyFile(t, from, "file", to, "", CopyOptions{Pair: &other}); r.Cloned || r.Written != 100_000 || !other.isApart() {
			t.Errorf("between two: %+v", r)
		}
	}
}

// Subvolumes have device numbers of their own and share blocks all the same.
func TestSubvolumesShareBlocks(t *testing.T) {
	v := voltest.New(t, "btrfs")
	shell(t, v.Dir, "btrfs -q subvolume create a; btrfs -q subvolume create b")
	content{"", 100_000, [][2]int64{{0, 100_000}}, nil}.write(t, v.Dir+"/a/file", 1)
	var pair Pair
	if _, r := copyFile(t, root(t, v.Dir+"/a"), "file", root(t, v.Dir+"/b"), "", CopyOptions{Pair: &pair}); !r.Cloned {
		t.Errorf("%+v", r)
	}
}

// Copies of several goroutines share buffers, and no bytes.
func TestPairIsShared(t *testing.T) {
	a, b := voltest.New(t, "tmpfs"), voltest.New(t, "tmpfs")
	from, to := root(t, a.Dir), root(t, b.Dir)
	var pair Pair
	var all sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("file", i)
		must(t, os.WriteFile(a.Dir+"/"+name, noise(uint64(i), 100_000), 0o600))
		all.Go(func() {
			for j := range 50 {
				src, err := from.OpenFile(name)
				if err != nil {
					t.Error(err)
					return
				}
				dst, err := to.CreateTemp(fmt.Sprint(name, "-", j))
				if err == nil {
					_, err = CopyData(t.Context(), dst, src, nil, CopyOptions{Pair: &pair})
				}
				same, failed := SameData(t.Context(), dst, src)
				if err != nil || failed != nil || !same {
					t.Error(err, failed, same)
				}
				src.Close()
				dst.Close()
			}
		})
	}
	all.Wait()
}
