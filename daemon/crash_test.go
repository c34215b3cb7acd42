package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// versioned writes files of which every version is of one number, repeated, so that a mixture shows.
type versioned struct {
	src     string
	version int
}

const versionLines = 3000

func (v *versioned) text() []byte {
	line := fmt.Sprintf("version %08d\n", v.version)
	text := make([]byte, 0, versionLines*len(line))
	for range versionLines {
		text = append(text, line...)
	}
	return text
}

// step writes the next version in all ways in which files are written, and moves names about.
func (v *versioned) step(t testing.TB) {
	t.Helper()
	v.version++
	path := func(name string) string { return filepath.Join(v.src, name) }
	do := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.WriteFile(path("saved.tmp"), v.text(), 0o644))
	do(os.Rename(path("saved.tmp"), path("saved")))
	f, err := os.OpenFile(path("linked"), os.O_WRONLY|os.O_CREATE, 0o644)
	do(err)
	_, err = f.WriteAt(v.text(), 0)
	do(err)
	do(f.Close())
	if v.version == 1 {
		do(os.Mkdir(path("d"), 0o755))
		do(os.Link(path("linked"), path("d/second")))
		do(os.Link(path("linked"), path("third")))
	}
	gone := fmt.Sprintf("tree%d", v.version-3)
	do(os.RemoveAll(path(gone)))
	do(os.MkdirAll(path(fmt.Sprintf("tree%d/sub", v.version)), 0o755))
	for n := range 3 {
		do(os.WriteFile(path(fmt.Sprintf("tree%d/sub/%d", v.version, n)), v.text()[:5000], 0o644))
	}
	if v.version > 1 {
		do(os.Rename(path(fmt.Sprintf("tree%d/sub", v.version-1)), path(fmt.Sprintf("tree%d/moved", v.version-1))))
		do(os.Symlink(fmt.Sprint(v.version), path(fmt.Sprintf("tree%d/link", v.version))))
	}
}

// reader reads files of the replica in a loop. Each must always be there and of one version.
type reader struct {
	t    testing.TB
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	failed []string
	reads  int
}

func read(t testing.TB, paths ...string) *reader {
	r := &reader{t: t, stop: make(chan struct{})}
	for _, path := range paths {
		r.wg.Go(func() { r.loop(path) })
	}
	return r
}

func (r *reader) loop(path string) {
	var want versioned
	for {
		select {
		case <-r.stop:
			return
		default:
		}
		text, err := os.ReadFile(path)
		wrong := ""
		if err != nil {
			wrong = err.Error()
		} else if _, err := fmt.Sscanf(string(text), "version %d\n", &want.version); err != nil || string(text) != string(want.text()) {
			wrong = fmt.Sprintf("%s: %d bytes from %.30q to %.30q", path, len(text), text, text[max(0, len(text)-30):])
		}
		r.mu.Lock()
		if r.reads++; wrong != "" && len(r.failed) < 5 {
			r.failed = append(r.failed, wrong)
		}
		r.mu.Unlock()
		time.Sleep(200 * time.Microsecond)
	}
}

// end stops reading and tells what was wrong.
func (r *reader) end() {
	r.t.Helper()
	close(r.stop)
	r.wg.Wait()
	for _, wrong := range r.failed {
		r.t.Errorf("a reader of the replica found neither an old nor a new version: %s", wrong)
	}
	if r.reads == 0 {
		r.t.Error("nothing was read")
	}
}

// spotless checks that a replica equals its source and that nothing else is left on the target.
func (r *running) spotless(src, dst string) {
	r.t.Helper()
	r.equal(src, dst)
	r.quiet(10 * time.Second)
	r.await("nothing is left over", func() bool { return len(leftovers(r.t, dst)) == 0 })
	if s := r.m.Status(); len(s.Aside) > 0 || len(s.Problems) > 0 {
		r.t.Errorf("set aside %q, problems %+v\n%s", s.Aside, s.Problems, r.log)
	}
	if found, err := comparer.Compare(src, dst, comparer.Options{}); err != nil || len(found) > 0 {
		r.t.Errorf("differs: %v %v", found, err)
	}
	if list, err := os.ReadDir(filepath.Join(dst, ".weir", "set-aside")); err != nil || len(list) > 0 {
		r.t.Errorf("set aside: %v %v\n%s", list, err, r.log)
	}
}

func TestReaderSeesAnOldOrANewVersion(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, fs).Dir
			r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
			v := &versioned{src: src}
			v.step(t)
			r.spotless(src, dst)
			watch := read(t, filepath.Join(dst, "saved"), filepath.Join(dst, "linked"), filepath.Join(dst, "d/second"), filepath.Join(dst, "third"))
			for range 60 {
				v.step(t)
				time.Sleep(5 * time.Millisecond)
			}
			r.spotless(src, dst)
			watch.end()
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTargetLosesPower shuts a target's file system down while it is written, mounts it again, and goes on.
func TestTargetLosesPower(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs"} {
		for _, how := range []int{voltest.ShutdownFlush, voltest.ShutdownFlushLog, voltest.ShutdownNoFlushLog} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s-%d-restart=%v", fs, how, restart), func(t *testing.T) { losePower(t, fs, how, restart) })
			}
		}
	}
}

func losePower(t *testing.T, fs string, how int, restart bool) {
	src, to := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, fs)
	o := Options{Source: src, Targets: []string{to.Dir}, State: filepath.Join(t.TempDir(), "st")}
	r := start(t, o)
	v := &versioned{src: src}
	v.step(t)
	r.spotless(src, to.Dir)
	for round := range 3 {
		for range 4 + round {
			v.step(t)
			time.Sleep(time.Duration(3*round) * time.Millisecond)
		}
		to.Shutdown(how)
		v.step(t)
		if restart {
			_ = r.stop()
		} else {
			time.Sleep(50 * time.Millisecond)
			v.step(t)
		}
		to.Unmount()
		to.AwaitFree() // A batch in flight has let go: until then a mount shows the file system that was shut down.
		to.Mount()
		watch := read(t, filepath.Join(to.Dir, "linked"), filepath.Join(to.Dir, "saved"))
		if restart {
			r = start(t, o)
		}
		r.spotless(src, to.Dir)
		watch.end()
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestStateLosesPower shuts the file system of the state directory down. The mirror ends, since it cannot keep
// what it knows, and the next one finds out by comparing.
func TestStateLosesPower(t *testing.T) {
	voltest.RequireRoot(t)
	for _, how := range []int{voltest.ShutdownFlushLog, voltest.ShutdownNoFlushLog} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
			keep := voltest.New(t, "ext4", voltest.Size(200<<20))
			o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(keep.Dir, "st")}
			r := start(t, o)
			v := &versioned{src: src}
			v.step(t)
			r.spotless(src, dst)
			watch := read(t, filepath.Join(dst, "linked"), filepath.Join(dst, "saved"))
			for range 3 {
				for range 5 {
					v.step(t)
				}
				keep.Shutdown(how)
				v.step(t)
				select {
				case err := <-r.done:
					if err == nil {
						t.Error("the mirror ended without an error")
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("the mirror goes on without its state\n%+v\n%s", r.m.Status(), r.log)
				}
				_ = r.m.Close()
				keep.Unmount()
				keep.AwaitFree()
				keep.Mount()
				r = start(t, o)
				r.spotless(src, dst)
			}
			watch.end()
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
