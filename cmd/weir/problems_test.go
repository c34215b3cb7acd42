package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProblemsAreNews has a file that cannot be read for a while, since somebody holds a lease on it, in a replica that is in
// sync otherwise.
func TestProblemsAreNews(t *testing.T) {
	s := newStage(t)
	s.write("leased")
	p := startWeir(t, s.args("--json")...)
	s.arrives("leased", s.good)
	p.says(`"phase":"in sync"`, 1)
	f, err := os.OpenFile(filepath.Join(s.source, "leased"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("other "); err != nil {
		t.Fatal(err)
	}
	p.says(`"problems":1`, 1)
	p.says("another program holds a lease on it", 1)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK); err != nil {
		t.Fatal(err)
	}
	p.says(`"problems":0`, 4) // two replicas that are in sync, and are so again
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}
