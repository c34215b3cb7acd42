package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestWhatIsNotReplicatedIsNotSeen has the source and a target in directories of one volume, next to what is in neither.
func TestWhatIsNotReplicatedIsNotSeen(t *testing.T) {
	s := newStage(t)
	disk := voltest.New(t, "ext4").Dir
	s.source, s.good = filepath.Join(disk, "s"), filepath.Join(disk, "replica")
	other, link := filepath.Join(disk, "other"), filepath.Join(t.TempDir(), "link")
	for _, dir := range []string{s.source, other, filepath.Join(s.source, "build")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"f", "f.o", "build/f"} {
		s.write(name)
	}
	if err := os.Symlink(s.source, link); err != nil {
		t.Fatal(err)
	}
	bound := filepath.Join(t.TempDir(), "bound")
	voltest.Bind(t, disk, bound)
	p := startWeir(t, s.args("-x", "*.o", "-x", "/build/")...)
	p.says(`msg="in sync"`, 2)

	for _, path := range []string{s.source, s.source + "/f", link + "/f", bound + "/s", bound + "/s/f"} {
		asked(t, 0, "explain "+path, "an event at "+path+" would be seen\n")
	}
	nothing := "would NOT be seen: replicate does nothing there: "
	for path, why := range map[string]string{
		disk: "it is no part of " + s.source, other: "it is no part of " + s.source, bound + "/other": "it is no part of",
		s.good: "it is no part of", s.good + "/f": "it is no part of",
		s.source + "/f.o": "left out by --exclude", link + "/f.o": "left out by", bound + "/s/f.o": "left out by",
		s.source + "/build": "left out by", s.source + "/build/f": "left out by",
	} {
		asked(t, 1, "explain "+path, "an event at "+path+" "+nothing+".*: "+why)
	}

	missing := "there is no such path; what is made in "
	asked(t, 0, "explain "+s.source+"/new", missing+s.source+" on the way to it would be seen\n", "observed by fanotify")
	asked(t, 0, "explain "+link+"/new/er", missing+s.source+" on the way to it would be seen\n")
	asked(t, 0, "explain --json "+s.source+"/new", `"seen":true,"nearest":"`+s.source+`"`)
	asked(t, 1, "explain "+s.source+"/new.o", missing+s.source+" on the way to it "+nothing+".*: left out by")
	asked(t, 1, "explain "+other+"/new", missing+other+" on the way to it "+nothing+".*: it is no part of")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestLostFoundIsNotSeenWhereFsckKeepsIt has one at the root of an ext4, and one at the root of a tmpfs.
func TestLostFoundIsNotSeenWhereFsckKeepsIt(t *testing.T) {
	s := newStage(t)
	disk := voltest.New(t, "ext4", voltest.At(filepath.Join(s.source, "disk"))).Dir
	memory := voltest.New(t, "tmpfs", voltest.At(filepath.Join(s.source, "memory"))).Dir
	bound := filepath.Join(t.TempDir(), "bound")
	voltest.Bind(t, disk, bound)
	p := s.mirror()
	for _, dir := range []string{disk, bound} {
		asked(t, 1, "explain "+dir+"/lost+found", "would NOT be seen: replicate does nothing there: .*: fsck")
		asked(t, 1, "explain "+dir+"/lost+found/x", "NOT be seen: replicate does nothing there: .*: fsck")
		asked(t, 0, "explain "+dir+"/lost", "on the way to it would be seen")
	}
	asked(t, 0, "explain "+memory+"/lost+found", "on the way to it would be seen")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestMountThatIsNotFollowedIsNotSeen binds files of a volume that is followed below the source: one that is beside the source,
// one that is in it, and so is replicated under its other name, and one of a volume of which nothing else is shown there.
func TestMountThatIsNotFollowedIsNotSeen(t *testing.T) {
	s := newStage(t)
	disk, memory := voltest.New(t, "ext4").Dir, voltest.New(t, "tmpfs").Dir
	s.source = filepath.Join(disk, "s")
	if err := os.Mkdir(s.source, 0o755); err != nil {
		t.Fatal(err)
	}
	bind := func(file, name string) {
		s.write(name)
		at := filepath.Join(s.source, name)
		err := os.WriteFile(file, nil, 0o644)
		if err == nil {
			err = unix.Mount(file, at, "", unix.MS_BIND, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	}
	bind(filepath.Join(disk, "beside"), "one")
	bind(filepath.Join(s.source, "within"), "two")
	bind(filepath.Join(memory, "elsewhere"), "three")
	p := s.mirror()
	asked(t, 1, "explain "+s.source+"/one", "NOT be seen: replicate does nothing there: .*: a single file is mounted here; weir follows directories")
	asked(t, 0, "explain "+s.source+"/two", "would be seen\n")
	asked(t, 1, "explain "+s.source+"/three", "NOT be seen: replicate has no business there: .*: a single file is mounted here")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestSilentPathIsToldAsThat explains a path for which a process answers that is stopped.
func TestSilentPathIsToldAsThat(t *testing.T) {
	s := newStage(t)
	served := filepath.Join(t.TempDir(), "served")
	server := voltest.Bindfs(t, t.TempDir(), served)
	p := s.mirror()
	resume := silence(t, server)
	began := time.Now()
	asked(t, 3, "explain "+served+"/x", "look at "+served+"/x: its file system does not answer; see whether")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	resume()
	asked(t, 0, "explain "+served+"/x", "there is no such path; ")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestShutDownVolumeIsNotSeen has a file system fail everything.
func TestShutDownVolumeIsNotSeen(t *testing.T) {
	s := newStage(t)
	at := filepath.Join(s.source, "v")
	v := voltest.New(t, "xfs", voltest.At(at))
	if err := os.WriteFile(filepath.Join(at, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := s.mirror()
	asked(t, 0, "explain "+at+"/f", "would be seen")
	v.Shutdown(voltest.ShutdownFlush)
	for _, path := range []string{at, at + "/f", at + "/new"} {
		asked(t, 1, "explain "+path, "an event at "+path+" would NOT be seen: its file system has failed: .*input/output error; .*: unmount it, ")
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestOverlayOfRelativeDirectories has an overlay of which the kernel does not tell what it lies on.
func TestOverlayOfRelativeDirectories(t *testing.T) {
	s := newStage(t)
	below := voltest.New(t, "ext4").Dir
	at := filepath.Join(s.source, "merged")
	for _, dir := range []string{"lower", "upper", "work", at} {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(below, dir)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := exec.Command("mount", "-t", "overlay", "-o", "lowerdir=lower,upperdir=upper,workdir=work", "overlay", at)
	mount.Dir = below
	if out, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	p := s.mirror()
	const why = `it was mounted with the relative directory (lower|upper), and the kernel does not tell what that led to\n`
	asked(t, 0, "volumes", `overlay +overlay +- +\? `, `volume \d+, what it lies on is not known: `+why)
	asked(t, 1, "explain "+at, "what lies below could not be found, and is left out: "+why)
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}
