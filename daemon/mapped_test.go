package daemon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// seenWithin is what is promised of a store through a mapping.
const seenWithin = 5 * time.Second

// mapping is a file that a test maps shared and writable.
type mapping struct {
	t    *testing.T
	f    *os.File // nil once it is closed
	data []byte
}

func mapFile(t *testing.T, path string, size int) *mapping {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != int64(size) {
		// Only then: the event would have the file read.
		if err := f.Truncate(int64(size)); err != nil {
			t.Fatal(err)
		}
	}
	m := &mapping{t: t, f: f}
	m.mapAgain(size)
	t.Cleanup(m.end)
	return m
}

func (m *mapping) mapAgain(size int) {
	m.t.Helper()
	var err error
	if m.data, err = unix.Mmap(int(m.f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mapping) unmap() {
	if m.data != nil {
		_ = unix.Munmap(m.data)
		m.data = nil
	}
}

func (m *mapping) end() {
	m.unmap()
	m.close()
}

func (m *mapping) close() {
	if m.f != nil {
		_ = m.f.Close()
		m.f = nil
	}
}

func (m *mapping) store(at int, n uint64) { binary.LittleEndian.PutUint64(m.data[at:], n) }

// shows waits until the replica has a number at an offset, and returns how long that took.
func shows(t *testing.T, r *running, path string, at int, n uint64, patience time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	want := binary.LittleEndian.AppendUint64(nil, n)
	for {
		data, err := os.ReadFile(path)
		if err == nil && len(data) >= at+8 && bytes.Equal(data[at:at+8], want) {
			return time.Since(start)
		}
		if time.Since(start) > patience {
			t.Fatalf("%s does not show %d at %d after %v (%v)\n%+v\n%s", path, n, at, patience, err, r.m.Status(), r.log)
		}
		time.Sleep(time.Millisecond)
	}
}

func mirrorOf(t *testing.T, v *voltest.Volume) (r *running, source, target string) {
	t.Helper()
	source, target = filepath.Join(v.Dir, "source"), filepath.Join(t.TempDir(), "target")
	for _, dir := range []string{source, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r = start(t, Options{Source: source, Targets: []string{target}, State: filepath.Join(t.TempDir(), "state")})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	r.quiet(10 * time.Second)
	return r, source, target
}

// TestMappedStores stores into the same page again and again, without any other call, and waits for each.
func TestMappedStores(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		m := mapFile(t, filepath.Join(source, "mapped"), 3*4096)
		m.close()
		var worst time.Duration
		for n := uint64(1); n <= 3; n++ {
			m.store(4096, n)
			took := shows(t, r, filepath.Join(target, "mapped"), 4096, n, seenWithin)
			worst = max(worst, took)
		}
		t.Logf("seen after %v at the latest", worst)
		m.store(4096, 99)
		time.Sleep(1500 * time.Millisecond) // The page is clean and the time stamp proves something.
		m.store(4096, 100)
		shows(t, r, filepath.Join(target, "mapped"), 4096, 100, seenWithin)
		m.unmap()
		r.equal(source, target)
	})
}

// TestMappedStoreBeforeUnmap stores, waits until that is copied, stores into the same page and unmaps at once.
func TestMappedStoreBeforeUnmap(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		for n := uint64(1); n <= 40; n++ {
			name := fmt.Sprint("mapped", n%3)
			m := mapFile(t, filepath.Join(source, name), 4096)
			m.store(8, n)
			if n%4 == 0 {
				shows(t, r, filepath.Join(target, name), 8, n, seenWithin)
			} else {
				time.Sleep(time.Duration(n) * 100 * time.Microsecond)
			}
			m.store(8, 1000+n)
			m.end()
			shows(t, r, filepath.Join(target, name), 8, 1000+n, seenWithin)
		}
		r.equal(source, target)
	})
}

// TestMappedStoreBesideOpenFile unmaps while the file stays open, so that no event tells of the end.
func TestMappedStoreBesideOpenFile(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		m := mapFile(t, filepath.Join(source, "mapped"), 4096)
		for n := uint64(1); n <= 2; n++ {
			m.store(16, n)
			shows(t, r, filepath.Join(target, "mapped"), 16, n, seenWithin)
			m.store(16, 1000+n)
			m.unmap()
			shows(t, r, filepath.Join(target, "mapped"), 16, 1000+n, seenWithin)
			m.mapAgain(4096)
		}
	})
}

// TestMappedStoreIsNotLostByRestart stores through a mapping while no mirror runs.
func TestMappedStoreIsNotLostByRestart(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		source, target := filepath.Join(v.Dir, "source"), filepath.Join(t.TempDir(), "target")
		for _, dir := range []string{source, target} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{Source: source, Targets: []string{target}, State: filepath.Join(t.TempDir(), "state")}
		if err := os.WriteFile(filepath.Join(source, "closed"), make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		r := start(t, o)
		m := mapFile(t, filepath.Join(source, "mapped"), 4096)
		m.store(0, 1)
		shows(t, r, filepath.Join(target, "mapped"), 0, 1, seenWithin)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		m.store(0, 2)
		m.end()
		closed := mapFile(t, filepath.Join(source, "closed"), 4096)
		closed.store(0, 3)
		closed.end()
		r = start(t, o)
		shows(t, r, filepath.Join(target, "mapped"), 0, 2, seenWithin)
		shows(t, r, filepath.Join(target, "closed"), 0, 3, seenWithin)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOpenFiles follows files that are written and not closed.
func TestOpenFiles(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		log, err := os.OpenFile(filepath.Join(source, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		once, err := os.Create(filepath.Join(source, "once"))
		if err != nil {
			t.Fatal(err)
		}
		defer once.Close()
		if _, err := once.WriteAt(binary.LittleEndian.AppendUint64(nil, 7), 8192); err != nil {
			t.Fatal(err)
		}
		shows(t, r, filepath.Join(target, "once"), 8192, 7, time.Second)
		var worst time.Duration
		for n := range uint64(20) {
			if _, err := log.Write(binary.LittleEndian.AppendUint64(nil, n)); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, shows(t, r, filepath.Join(target, "log"), int(8*n), n, time.Second))
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("seen after %v at the latest", worst)
		r.equal(source, target)
	})
}

// TestLoopDeviceOnFile writes to a file through a loop device, of which no event tells.
func TestLoopDeviceOnFile(t *testing.T) {
	for _, fs := range []string{"ext4", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			v := voltest.New(t, fs)
			r, source, target := mirrorOf(t, v)
			image := filepath.Join(source, "image")
			if err := os.WriteFile(image, make([]byte, 1<<20), 0o644); err != nil {
				t.Fatal(err)
			}
			device := voltest.Loop(t, image)
			r.equal(source, target)
			for n := uint64(1); n <= 2; n++ {
				block := make([]byte, 4096)
				binary.LittleEndian.PutUint64(block, n)
				writeBlock(t, device, block)
				shows(t, r, filepath.Join(target, "image"), 4096, n, seenWithin)
			}
		})
	}
}

func writeBlock(t *testing.T, device string, block []byte) {
	t.Helper()
	f, err := os.OpenFile(device, os.O_WRONLY|unix.O_SYNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(block, 4096); err != nil {
		t.Fatal(err)
	}
}

// TestMappedStoresStop has many files stored into without pause and stop at any moment, still mapped: what was
// stored last is on the replica in time.
func TestMappedStoresStop(t *testing.T) {
	rounds, count := 1, 24
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		var files []*mapping
		for n := range count {
			files = append(files, mapFile(t, filepath.Join(source, fmt.Sprint(n)), 8*4096))
			files[n].close()
		}
		serial := uint64(0)
		for range rounds {
			last := storeAndStop(files, &serial)
			deadline := time.Now().Add(seenWithin)
			for n := range files {
				shows(t, r, filepath.Join(target, fmt.Sprint(n)), 4096*(n%8), last[n], time.Until(deadline))
			}
		}
		for _, m := range files {
			m.end()
		}
		r.equal(source, target)
	})
}

// storeAndStop stores growing numbers into the files in turn, for up to 3 s, and stops with one after the other.
func storeAndStop(files []*mapping, serial *uint64) (last []uint64) {
	last = make([]uint64, len(files))
	start, shift := time.Now(), int(*serial%97)
	for going := true; going; {
		going = false
		elapsed := time.Since(start)
		for n, m := range files {
			if elapsed < time.Duration(n*117+shift)*time.Millisecond {
				*serial++
				m.store(4096*(n%8), *serial)
				last[n], going = *serial, true
			}
		}
	}
	return last
}

// TestMappedStoreWithTimesSetBack stores through a mapping and sets the time of modification back, so that the
// change looks like one of metadata.
func TestMappedStoreWithTimesSetBack(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		t.Parallel()
		r, source, target := mirrorOf(t, v)
		path, old := filepath.Join(source, "mapped"), time.Unix(1_000_000_000, 0)
		if err := os.WriteFile(path, make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		for n := uint64(1); n <= 5; n++ {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			r.equal(source, target)
			m := mapFile(t, path, 4096)
			m.store(0, n)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
			m.end()
			shows(t, r, filepath.Join(target, "mapped"), 0, n, seenWithin)
		}
	})
}
