package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestEveryChange makes every change live and while no mirror runs, in all combinations of file systems that matter:
// each is once a source and once a target.
func TestEveryChange(t *testing.T) {
	voltest.RequireRoot(t)
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			src := mkdir(t, filepath.Join(voltest.New(t, pair[0], voltest.Size(400<<20)).Dir, "s"))
			dst := voltest.New(t, pair[1], voltest.Size(400<<20)).Dir
			f := fidelity{T: t, fs: pair[0], src: src, dst: dst}
			f.prepare()
			r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
			r.equal(src, dst)
			r.quiet(10 * time.Second)
			f.live(r)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			f.stopped()
			r = start(t, Options{Source: src, Targets: []string{dst}, State: r.m.State()})
			r.equal(src, dst)
			r.quiet(10 * time.Second)
			f.check("stopped")
			f.clean(r)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type fidelity struct {
	*testing.T
	fs, src, dst string
	before       map[string]uint64
}

func (f *fidelity) changes(fn func(c change)) {
	for _, c := range changes() {
		if c.on == "" || strings.Contains(c.on, f.fs) {
			fn(c)
		}
	}
}

func (f *fidelity) dir(mode string, c change) dir { return dir(filepath.Join(f.src, mode, c.name)) }

func (f *fidelity) replica(d dir) string {
	return filepath.Join(f.dst, strings.TrimPrefix(string(d), f.src))
}

func (f *fidelity) prepare() {
	f.Cleanup(func() { _ = exec.Command("chattr", "-R", "-ia", f.src).Run() })
	f.changes(func(c change) {
		for _, mode := range []string{"live", "stopped"} {
			d := f.dir(mode, c)
			if err := os.MkdirAll(string(d), 0o755); err != nil {
				f.Fatal(err)
			}
			if c.prepare != nil {
				if err := c.prepare(d); err != nil {
					f.Fatalf("prepare %s: %v", c.name, err)
				}
			}
		}
	})
}

// remember notes the inodes of the replica that a change must keep.
func (f *fidelity) remember(mode string, c change) {
	if f.before == nil {
		f.before = make(map[string]uint64)
	}
	for old := range c.keeps {
		f.before[mode+c.name+old] = inode(f, filepath.Join(f.replica(f.dir(mode, c)), old))
	}
}

func (f *fidelity) kept(mode string, c change) {
	f.Helper()
	for old, now := range c.keeps {
		if ino := inode(f, filepath.Join(f.replica(f.dir(mode, c)), now)); ino != f.before[mode+c.name+old] {
			f.Errorf("%s, %s: %s was copied to %s instead of renamed or linked", mode, c.name, old, now)
		}
	}
}

func (f *fidelity) live(r *running) {
	f.changes(func(c change) {
		d := f.dir("live", c)
		f.remember("live", c)
		if err := c.do(d); err != nil {
			f.Fatalf("%s: %v", c.name, err)
		}
		r.equal(string(d), f.replica(d))
		f.kept("live", c)
	})
	r.equal(f.src, f.dst)
	r.quiet(10 * time.Second)
	f.clean(r)
}

func (f *fidelity) stopped() {
	f.changes(func(c change) {
		f.remember("stopped", c)
		if err := c.do(f.dir("stopped", c)); err != nil {
			f.Fatalf("%s: %v", c.name, err)
		}
	})
}

func (f *fidelity) check(mode string) {
	f.changes(func(c change) { f.kept(mode, c) })
}

// clean checks that nothing of weir's own is left over and that nothing is complained of.
func (f *fidelity) clean(r *running) {
	f.Helper()
	s := r.m.Status()
	if len(s.Problems) > 0 || len(s.Aside) > 0 {
		f.Errorf("problems %+v, set aside %q", s.Problems, s.Aside)
	}
	r.await("no temporaries", func() bool { return len(leftovers(f, f.dst)) == 0 })
}

// leftovers lists what is in the hidden directory of a target and is not its marker.
func leftovers(t testing.TB, dst string) (found []string) {
	t.Helper()
	for _, sub := range []string{"tmp", "parked"} {
		top := filepath.Join(dst, ".weir", sub)
		err := filepath.WalkDir(top, func(path string, e os.DirEntry, err error) error {
			if rel, _ := filepath.Rel(top, path); err == nil && strings.Contains(rel, "/") {
				found = append(found, sub+"/"+rel)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
