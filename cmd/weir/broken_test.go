package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestBrokenTargetKeepsNoOther starts weir when one of its targets cannot be used any more, as after a restart of the machine
// with a bad disk: the other is served, and the broken one is told of, in less time than a target has that does not answer.
// A new one is refused, and so is one that cannot be written if it is the only one; a disk that fails is waited for.
func TestBrokenTargetKeepsNoOther(t *testing.T) {
	readOnly := func(t *testing.T, v *voltest.Volume) { v.Remount(unix.MS_RDONLY, "") }
	shutdown := func(t *testing.T, v *voltest.Volume) { v.Shutdown(voltest.ShutdownFlush) }
	for name, c := range map[string]struct {
		fs, says string
		spoil    func(*testing.T, *voltest.Volume)
		alone    int // the exit status with no other
	}{
		"read-only": {"ext4", "read-only file system", readOnly, 2},
		"shut down": {"xfs", "input/output error", shutdown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			v := voltest.New(t, c.fs)
			s.frozen = filepath.Join(v.Dir, "replica")
			only := []string{"mirror", "--once", "--state", s.state + "2", s.source, filepath.Join(v.Dir, "only")}
			s.write("first")
			for _, args := range [][]string{s.args("--once"), only} {
				startWeir(t, args...).ends(0, replicate.NewPatience)
			}
			c.spoil(t, v)
			s.write("second")
			dry := startWeir(t, s.args("--dry-run")...)
			dry.ends(0, replicate.NewPatience)
			p := startWeir(t, s.args("--once")...)
			p.ends(1, replicate.NewPatience)
			s.arrives("second", s.good)
			fresh := startWeir(t, "mirror", "--once", "--state", s.state+"3", s.source, filepath.Join(v.Dir, "new"))
			fresh.ends(2, replicate.NewPatience)
			alone := startWeir(t, only...)
			alone.ends(c.alone, replicate.NewPatience)
			for _, p := range []*weirProcess{dry, p, fresh, alone} {
				if out := p.output(); !strings.Contains(out, c.says) {
					t.Errorf("%q does not say %q:\n%s", p.cmd.Args[1:], c.says, out)
				}
			}
		})
	}
}

// TestMountBelowTargetKeepsNoStart starts weir with a file system mounted below a target: what it does not cover is served.
// A target that is new is refused with it.
func TestMountBelowTargetKeepsNoStart(t *testing.T) {
	s := newStage(t)
	for _, dir := range []string{"covered", "free"} {
		if err := os.Mkdir(filepath.Join(s.source, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("covered/first")
	startWeir(t, s.args("--once")...).ends(0, replicate.NewPatience)
	voltest.New(t, "tmpfs", voltest.At(filepath.Join(s.frozen, "covered")))
	s.write("covered/second")
	s.write("free/second")
	p := startWeir(t, s.args("--once")...)
	p.ends(1, replicate.NewPatience)
	s.arrives("covered/second", s.good)
	s.arrives("free/second", s.good)
	s.arrives("free/second", s.frozen)
	p = startWeir(t, s.args("--once", "--adopt", "--state", s.state+"2")...)
	p.ends(2, replicate.NewPatience)
	if out := p.output(); !strings.Contains(out, "a file system is mounted below it, at "+filepath.Join(s.frozen, "covered")) {
		t.Errorf("says\n%s", out)
	}
}
