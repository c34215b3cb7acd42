package daemon

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// fill takes all room of a volume and returns how to give it back.
func fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := bytes.Repeat([]byte("full"), 1<<18)
	for size := len(block); size > 0; {
		n, err := f.Write(block[:size])
		if errors.Is(err, syscall.ENOSPC) {
			if n == 0 || size > n {
				size /= 2
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.Truncate(path, 0), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		_ = unix.Syncfs(fd)
	}
}

// phaseOf returns the phase of the replica of the source on a target, and why.
func (r *running) phaseOf(target string) (replicate.Phase, string) {
	for _, u := range r.m.Status().Units {
		if u.Target == target {
			return u.Phase, u.Reason
		}
	}
	return "", ""
}

// within waits until something is so, at most for a time that was promised.
func (r *running) within(limit time.Duration, what string, ok func() bool) {
	r.t.Helper()
	begun := time.Now()
	r.await(what, ok)
	if took := time.Since(begun); took > limit {
		r.t.Errorf("%s: after %v, want %v at most", what, took, limit)
	}
}

// overwrite writes over what a file holds, which is never empty meanwhile.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestFullTargetSaysSoAndHeals(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			src, good := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "ext4", voltest.Size(200<<20)).Dir // Room for two versions of all.
			size := map[string]int64{"ext4": 80 << 20, "xfs": 300 << 20, "btrfs": 140 << 20, "tmpfs": 70 << 20}[fs]
			v := voltest.New(t, fs, voltest.Size(size))
			full := mkdir(t, filepath.Join(v.Dir, "r"))
			block := strings.Repeat("x", 1<<20)
			for n := range 4 {
				write(t, filepath.Join(src, fmt.Sprint("old", n)), block)
			}
			r := start(t, Options{Source: src, Targets: []string{full, good}, State: filepath.Join(t.TempDir(), "st")})
			r.equal(src, full)
			r.quiet(10 * time.Second)
			empty := fill(t, v.Dir)
			for n := range 8 {
				write(t, filepath.Join(src, fmt.Sprint("new", n)), block)
			}
			overwrite(t, filepath.Join(src, "old0"), strings.Repeat("y", 3<<20))
			write(t, filepath.Join(src, "large"), strings.Repeat("z", 20<<20))
			r.within(5*time.Second, "the target says that it is full", func() bool {
				phase, _ := r.phaseOf(full)
				return phase == replicate.PhaseFull
			})
			r.equal(src, good)
			if n := strings.Count(r.log.Output.String(), "the target is full"); n != 1 {
				t.Errorf("the log says %d times that the target is full\n%s", n, r.log)
			}
			if text, err := os.ReadFile(filepath.Join(full, "old0")); err != nil || string(text) != block {
				t.Errorf("a version that has no room took the place of the old one: %d bytes, %v", len(text), err)
			}
			if err := errors.Join(os.Remove(filepath.Join(src, "old1")), os.Remove(filepath.Join(src, "new0"))); err != nil {
				t.Fatal(err)
			}
			r.within(5*time.Second, "a deletion goes through", func() bool { return absent(filepath.Join(full, "old1")) })
			r.await("what is deleted is no problem any more", func() bool {
				for _, p := range r.m.Status().Problems {
					if p.Path == "new0" {
						return false
					}
				}
				return true
			})
			empty()
			r.equal(src, full)
			r.spotless(src, full)
			r.awaitPhase(src, replicate.PhaseInSync)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFullStateDirectory fills the volume of the state directory while files are written.
func TestFullStateDirectory(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
	keep := voltest.New(t, "ext4", voltest.Size(24<<20))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(keep.Dir, "st")})
	write(t, filepath.Join(src, "first"), "1")
	r.equal(src, dst)
	empty := fill(t, keep.Dir)
	n := 0
	said := func() bool {
		phase, why := r.phaseOf(dst)
		return phase == replicate.PhaseWaiting && strings.Contains(why, "state directory")
	}
	for deadline := time.Now().Add(20 * time.Second); !said(); n++ {
		mkdir(t, filepath.Join(src, fmt.Sprint("d", n)))
		for f := range 20 {
			number := fmt.Append(nil, n, f)
			unpackable := fmt.Sprintf("%x%x", sha512.Sum512(number), sha512.Sum384(number))
			write(t, filepath.Join(src, fmt.Sprint("d", n), unpackable), fmt.Sprint(n))
		}
		time.Sleep(10 * time.Millisecond) // What is written now has to be copied in the end.
		if time.Now().After(deadline) {
			t.Fatalf("it does not say that the state directory is full: %+v\n%s", r.m.Status(), r.log)
		}
	}
	write(t, filepath.Join(src, "meanwhile"), "2")
	empty()
	r.spotless(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestStartWithAFullStateDirectory has no room for the first file that a start writes there.
func TestStartWithAFullStateDirectory(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	keep := voltest.New(t, "tmpfs", voltest.Size(32<<20))
	s.o.State = filepath.Join(keep.Dir, "st")
	s.begin()
	s.alike()
	s.end()
	empty := fill(t, keep.Dir)
	_, err := Open(t.Context(), s.o)
	var e *weir.Error
	if !errors.As(err, &e) || e.Path != s.o.State || e.Kind != weir.KindFailed || !strings.Contains(e.Hint, "free some room") {
		t.Errorf("it says %v", err)
	}
	empty()
	s.begin()
	s.alike()
	s.end()
}

// TestReadOnlyTarget has a target turn read-only, by hand and by an error of its file system.
func TestReadOnlyTarget(t *testing.T) {
	voltest.RequireRoot(t)
	src := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s"))
	v := voltest.New(t, "ext4", voltest.Data("errors=remount-ro"))
	good := voltest.New(t, "xfs").Dir
	v2 := &versioned{src: src}
	v2.step(t)
	r := start(t, Options{Source: src, Targets: []string{v.Dir, good}, State: filepath.Join(t.TempDir(), "st")})
	r.spotless(src, v.Dir)

	remount := func(flags uintptr) {
		t.Helper()
		r.await("remount", func() bool { return unix.Mount("", v.Dir, "", unix.MS_REMOUNT|flags, "") == nil })
	}
	says := func() {
		t.Helper()
		v2.step(t)
		r.within(5*time.Second, "the target says that it is read-only", func() bool {
			phase, why := r.phaseOf(v.Dir)
			return phase == replicate.PhaseWaiting && strings.Contains(why, "read-only")
		})
		r.equal(src, good)
	}
	remount(unix.MS_RDONLY)
	says()
	remount(0)
	r.spotless(src, v.Dir)

	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(v.Device), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("an error that a test has made"), 0); err != nil {
		t.Fatal(err)
	}
	says()
	v.Unmount()
	v.Mount()
	r.spotless(src, v.Dir)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestStopWhileTheTargetIsFull stops a mirror whose target has no room for a file that was seen.
func TestStopWhileTheTargetIsFull(t *testing.T) {
	s := newScene(t, "tmpfs", "ext4", false)
	s.begin()
	s.alike()
	empty := fill(t, s.to.Dir)
	write(t, s.in("large"), strings.Repeat("large", 1<<20))
	s.awaitPhase(s.src, replicate.PhaseFull)
	begun := time.Now()
	s.endBehind()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	empty()
	s.begin()
	s.alike()
	s.end()
}

// TestWrittenAgainOnAFullTarget writes into files what they hold already: the replica has it, and needs no room.
func TestWrittenAgainOnAFullTarget(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	write(t, s.in("small"), strings.Repeat("same", 2<<10))
	write(t, s.in("large"), strings.Repeat("same", 3<<20))
	s.begin()
	s.alike()
	empty := fill(t, s.to.Dir)
	for _, name := range []string{"small", "large"} {
		overwrite(t, s.in(name), "same")
	}
	s.alike()
	s.await("in sync", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseInSync })
	if problems := s.m.Status().Problems; len(problems) > 0 {
		t.Errorf("problems: %+v", problems)
	}
	s.end()
	empty()
}
