package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// load changes a tree until it is told to stop: files of which every line names the version, trees that come, move
// and go.
func load(t *testing.T, dir string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		if err := change(dir, n); err != nil {
			t.Error(err)
			return
		}
	}
}

func change(dir string, n int) error {
	at := func(format string, n int) string { return filepath.Join(dir, fmt.Sprintf(format, n%50)) }
	text := bytes.Repeat(fmt.Appendf(nil, "version %08d\n", n), 1000)
	steps := []func() error{
		func() error { return os.WriteFile(filepath.Join(dir, "t"), text, 0o644) },
		func() error { return os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "saved")) },
		func() error { return os.RemoveAll(at("moved%d", n)) },
		func() error { return os.MkdirAll(at("tree%d/sub", n), 0o755) },
		func() error { return os.WriteFile(at("tree%d/sub/f", n), text[:3000], 0o644) },
		func() error { return os.WriteFile(at("tree%d/g", n), text, 0o644) },
		func() error { return os.Link(at("tree%d/g", n), at("tree%d/sub/h", n)) },
		func() error { return os.Symlink(fmt.Sprint(n), at("tree%d/s", n)) },
		func() error { return os.Rename(at("tree%d", n), at("moved%d", n)) },
		func() error { return os.Rename(at("moved%d/sub", n+40), at("moved%d/bus", n+40)) },
		func() error { return os.WriteFile(filepath.Join(dir, "linked"), text, 0o644) },
	}
	for i, step := range steps {
		if err := step(); err != nil && !(i == 9 && os.IsNotExist(err)) {
			return err
		}
	}
	return nil
}

// TestKilledAtAnyMoment kills weir many times while much changes. A reader of the replica always finds a complete
// version, and when weir is left in peace the replica is equal and nothing else is there.
func TestKilledAtAnyMoment(t *testing.T) {
	s := newStage(t)
	if err := change(s.source, 0); err != nil {
		t.Fatal(err)
	}
	for n := range 40 { // By what stays weir knows the volume again.
		s.write(fmt.Sprint("stays", n))
	}
	p := s.mirror()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	wg.Go(func() { load(t, s.source, stop) })
	for _, target := range []string{s.frozen, s.good} {
		wg.Go(func() { readVersions(t, filepath.Join(target, "saved"), stop) })
	}
	for range 25 {
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
		if err := unix.Kill(p.cmd.Process.Pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-p.done
		p = startWeir(t, s.args()...)
	}
	time.Sleep(200 * time.Millisecond)
	end()
	p.says(`msg="in sync"`, 2)
	for _, target := range []string{s.frozen, s.good} {
		eventually(t, 20*time.Second, func() error {
			if status, out, _ := weirRun("verify", "--content", s.source, target); status != 0 {
				return fmt.Errorf("the replica differs: %s\n%s", out, p.output())
			}
			return leftovers(target)
		})
	}
	if out := p.output(); strings.Contains(out, "set aside") {
		t.Errorf("what was weir's own was set aside:\n%s", out)
	}
}

// readVersions reads a file in a loop: it is always there, and of one version.
func readVersions(t *testing.T, path string, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(300 * time.Microsecond):
		}
		text, err := os.ReadFile(path)
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if err != nil || !bytes.Equal(text, bytes.Repeat(append(line, '\n'), 1000)) {
			t.Errorf("%s is neither an old nor a new version: %d bytes, %v", path, len(text), err)
			return
		}
	}
}

// leftovers tells what is in a target's hidden directory beside what belongs there.
func leftovers(target string) error {
	for _, pattern := range []string{"tmp/*/*", "parked/*/*", "set-aside/*"} {
		if found, _ := filepath.Glob(filepath.Join(target, ".weir", pattern)); len(found) > 0 {
			return fmt.Errorf("left over: %q", found)
		}
	}
	return nil
}
