package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// restoreImage puts a former content of an unmounted volume's image back, through the device.
func restoreImage(t *testing.T, from string, v *voltest.Volume) {
	t.Helper()
	if out, err := exec.Command("dd", "if="+from, "of="+v.Device, "bs=1M", "conv=fsync", "status=none").CombinedOutput(); err != nil {
		t.Fatalf("dd: %v\n%s", err, out)
	}
}

func saveImage(t *testing.T, v *voltest.Volume) string {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "saved.img")
	if out, err := exec.Command("dd", "if="+v.Device, "of="+saved, "bs=1M", "conv=sparse", "status=none").CombinedOutput(); err != nil {
		t.Fatalf("dd: %v\n%s", err, out)
	}
	return saved
}

func awaitTarget(s *scene, phase replicate.Phase) {
	s.t.Helper()
	s.await("target "+string(phase), func() bool { return s.unit(s.src, s.dst).Phase == phase })
}

// TestSwappedTargetIsNotWritten mounts another disk where the target was, empty, foreign, or the replica of another
// source.
func TestSwappedTargetIsNotWritten(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		write(t, s.in("f"), "1")
		s.begin()
		s.alike()
		s.to.Unmount()
		other := voltest.New(t, "ext4", voltest.At(s.to.Dir))
		mkdir(t, s.dst)
		write(t, s.at("theirs"), "x")
		write(t, s.in("f"), "2")
		awaitTarget(s, replicate.PhaseTargetAbsent)
		still(t, "the other disk", func() bool {
			list, err := os.ReadDir(s.dst)
			return err == nil && len(list) == 1
		})
		mkdir(t, s.at(".weir"))
		write(t, s.at(".weir/replica.json"), `{"version":1,"replica_id":"OTHER","source":"`+s.src+`"}`)
		write(t, s.in("f"), "3")
		still(t, "the replica of somebody else", func() bool { return absent(s.at("f")) && absent(s.at(".weir/tmp")) })
		other.Unmount()
		s.to.Mount()
		s.awaitText(s.at("f"), "3")
		s.alike()
		s.end()
	})
}

// TestRolledBackTarget puts an older state of the target's disk back while it is unmounted, with weir running and
// stopped. Times and sizes of what changed are made equal, so that only content tells.
func TestRolledBackTarget(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		for _, stopped := range []bool{false, true} {
			t.Run(fs+map[bool]string{false: "-running", true: "-stopped"}[stopped], func(t *testing.T) {
				s := newScene(t, "ext4", fs, false)
				populate(t, s.src, 3, 5)
				s.begin()
				s.alike()
				if stopped {
					s.end()
				}
				s.to.Unmount()
				saved := saveImage(t, s.to)
				s.to.Mount()
				if stopped {
					s.begin()
				}
				mkdir(t, s.in("new/dir"))
				write(t, s.in("new/dir/f"), "x")
				write(t, s.in("d001/f001"), "changed")
				rename(t, s.in("d002"), s.in("moved"))
				remove(t, s.in("d000/f000"))
				s.alike()
				if stopped {
					s.end()
				}
				s.to.Unmount()
				restoreImage(t, saved, s.to)
				s.to.Mount()
				if stopped {
					s.begin()
				}
				s.alike()
				if n := len(s.m.Status().Aside); n != 0 {
					t.Logf("set aside: %v", s.m.Status().Aside)
				}
				s.end()
			})
		}
	}
}

// TestHalfRestoredTarget deletes, truncates and changes files of the replica while it is unmounted from its place.
// Marker and generation are as they were.
func TestHalfRestoredTarget(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(map[bool]string{false: "running", true: "stopped"}[stopped], func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			populate(t, s.src, 4, 5)
			s.begin()
			s.alike()
			if stopped {
				s.end()
			}
			s.to.Unmount()
			elsewhere, home := mkdir(t, filepath.Join(t.TempDir(), "e")), s.to.Dir
			s.to.MountAt(elsewhere)
			r := filepath.Join(elsewhere, "r")
			remove(t, filepath.Join(r, "d000"))
			remove(t, filepath.Join(r, "d001/f001"))
			if err := os.Truncate(filepath.Join(r, "d002/f002"), 0); err != nil {
				t.Fatal(err)
			}
			rename(t, filepath.Join(r, "d003"), filepath.Join(r, "d001/foreign name"))
			if err := os.Chmod(filepath.Join(r, "d002"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setxattr(filepath.Join(r, "d002/f003"), "user.theirs", []byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			s.to.Unmount()
			s.to.MountAt(home)
			if stopped {
				s.begin()
			}
			s.alike()
			s.end()
		})
	}
}

// TestMarkerGone takes marker, hidden directory or state away.
func TestMarkerGone(t *testing.T) {
	for _, what := range []string{".weir/replica.json", ".weir", ".weir/generation"} {
		t.Run(strings.ReplaceAll(what, "/", "-"), func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			populate(t, s.src, 3, 5)
			s.begin()
			s.alike()
			numbers := inode(t, s.at("d001/f001"))
			remove(t, s.at(what))
			write(t, s.in("d001/f002"), "changed")
			if what == ".weir/generation" { // It is written anew.
				s.alike()
				s.end()
				return
			}
			awaitTarget(s, replicate.PhaseTargetAbsent)
			if u := s.unit(s.src, s.dst); !strings.Contains(u.Reason, "gone") || !strings.Contains(u.Todo, "start with --adopt") {
				t.Errorf("%+v", u)
			}
			still(t, "a target without marker", func() bool { return text(t, s.at("d001/f002")) != "changed" })
			s.endBehind()
			s.begin()
			awaitTarget(s, replicate.PhaseTargetAbsent)
			still(t, "a target without marker", func() bool { return text(t, s.at("d001/f002")) != "changed" })
			s.endBehind()
			s.o.Adopt = true
			s.begin()
			s.alike()
			if inode(t, s.at("d001/f001")) != numbers {
				t.Error("what was equal was copied again")
			}
			s.end()
		})
	}
}

// TestIndexLost rebuilds the index from a marked target by comparison.
func TestIndexLost(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	populate(t, s.src, 5, 20)
	if err := os.Link(s.in("d001/f001"), s.in("d002/link")); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.alike()
	s.end()
	before := inode(t, s.at("d001/f001"))
	write(t, s.at("d003/theirs"), "nobody knows whose")
	remove(t, s.in("d004/f004"))
	write(t, s.in("d004/f005"), "changed while nobody looked")
	remove(t, s.o.State)
	s.begin()
	s.await("comparison", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseInSync })
	s.alike()
	status := s.m.Status()
	if inode(t, s.at("d001/f001")) != before || inode(t, s.at("d002/link")) != before {
		t.Error("what was equal was copied again")
	}
	if status.Copied > 1 || status.Written > 100 {
		t.Errorf("%d files and %d bytes were written, want one", status.Copied, status.Written)
	}
	if status.Removed != 0 {
		t.Errorf("%d names were removed on no proof", status.Removed)
	}
	if len(status.Aside) != 3 {
		t.Errorf("set aside %q, want the file of somebody else, and two of which it is not known who has changed or deleted them", status.Aside)
	}
	s.end()
}

// TestMountBelowTarget mounts below a target while weir runs. Neither what is mounted nor what it covers is
// written; the rest goes on, and what waited is put right when the mount has left.
func TestMountBelowTarget(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		populate(t, s.src, 3, 5)
		mkdir(t, s.in("d001/sub/deep"))
		write(t, s.in("d001/sub/deep/f"), "1")
		s.begin()
		s.alike()
		covered := filepath.Join(t.TempDir(), "covered")
		voltest.Bind(t, s.to.Dir, covered) // A way to look below the mount.
		v := voltest.New(t, "ext4", voltest.At(s.at("d001/sub")))
		listing := func(dir string) string {
			out, err := exec.Command("find", dir, "-printf", "%P %i %s %T@ %C@\n").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return string(out)
		}
		s.await("the mount is known", func() bool { return len(s.m.Status().Targets[0].Covered) == 1 })
		theirs, ours := listing(v.Dir), listing(filepath.Join(covered, "r/d001/sub"))
		write(t, s.in("d001/sub/deep/f"), "2")
		write(t, s.in("d001/sub/new"), "2")
		mkdir(t, s.in("d001/sub/newdir/x"))
		write(t, s.in("d001/f001"), "goes on")
		s.awaitText(s.at("d001/f001"), "goes on")
		still(t, "what is mounted, and what it covers", func() bool {
			return listing(v.Dir) == theirs && listing(filepath.Join(covered, "r/d001/sub")) == ours
		})
		s.awaitPhase(s.src, replicate.PhaseWaiting)
		rename(t, s.in("d001/sub/deep"), s.in("deep")) // Out of what is covered: that cannot be shown now.
		write(t, s.in("d002/f002"), "goes on")
		s.awaitText(s.at("d002/f002"), "goes on")
		still(t, "what is mounted, and what it covers", func() bool {
			return listing(v.Dir) == theirs && listing(filepath.Join(covered, "r/d001/sub")) == ours
		})
		v.Unmount()
		s.alike()
		s.await("nothing is covered", func() bool { return len(s.m.Status().Targets[0].Covered) == 0 })
		s.end()
	})
}

// TestTargetsStandApart has one target full, one absent and one slow: the fourth is as fast as ever, and each
// catches up by itself.
func TestTargetsStandApart(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	full := voltest.New(t, "tmpfs", voltest.Size(1<<20))
	away := voltest.New(t, "ext4")
	backing := voltest.New(t, "ext4")
	slow := mkdir(t, filepath.Join(t.TempDir(), "slow"))
	voltest.Bindfs(t, mkdir(t, filepath.Join(backing.Dir, "b")), slow, "--write-rate=200k")
	others := []string{mkdir(t, filepath.Join(full.Dir, "r")), mkdir(t, filepath.Join(away.Dir, "r")), mkdir(t, filepath.Join(slow, "r"))}
	s.o.Targets = append(s.o.Targets, others...)
	write(t, s.in("first"), "1")
	s.begin()
	for _, dst := range append(others, s.dst) {
		s.awaitText(filepath.Join(dst, "first"), "1")
	}
	s.quiet(20 * time.Second)
	away.Unmount()
	block := strings.Repeat("x", 100_000)
	for n := range 15 {
		write(t, s.in(name("big", n)), block)
	}
	begun := time.Now()
	s.await("the sound target has all", func() bool {
		b, err := os.ReadFile(s.at("big014"))
		return err == nil && len(b) == len(block)
	})
	t.Logf("1.5 MB on the sound target after %v", time.Since(begun))
	var worst time.Duration
	for n := range 20 {
		begun := time.Now()
		write(t, s.in("small"), name("n", n))
		s.awaitText(s.at("small"), name("n", n))
		worst = max(worst, time.Since(begun))
	}
	t.Logf("a small change was on it after %v at the latest", worst)
	if worst > time.Second {
		t.Errorf("a small change took %v while other targets stand", worst)
	}
	s.await("the full one says so", func() bool { return s.unit(s.src, others[0]).Phase == replicate.PhaseFull })
	s.await("the absent one says so", func() bool { return s.unit(s.src, others[1]).Phase == replicate.PhaseTargetAbsent })
	away.Mount()
	s.equal(s.src, others[1])
	full.Remount(0, "size=8m")
	s.equal(s.src, others[0])
	s.await("the slow one has all", func() bool {
		b, err := os.ReadFile(filepath.Join(others[2], "big014"))
		return err == nil && len(b) == len(block)
	})
	s.end()
}

// TestLinkOnFuseTarget starts again with a file of two names on a target whose kernel keeps attributes for a while, and
// that stores neither owners nor attributes: nobody has changed it.
func TestLinkOnFuseTarget(t *testing.T) {
	voltest.RequireRoot(t)
	src, back := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "tmpfs").Dir
	at := filepath.Join(t.TempDir(), "bindfs")
	voltest.Bindfs(t, mkdir(t, filepath.Join(back, "real")), at, "--xattr-none", "--chmod-ignore", "--chown-ignore")
	write(t, filepath.Join(src, "a"), "1")
	if err := errors.Join(unix.Setxattr(filepath.Join(src, "a"), "user.q", []byte("1"), 0), os.Chown(filepath.Join(src, "a"), 5, 5),
		os.Link(filepath.Join(src, "a"), filepath.Join(src, "b"))); err != nil {
		t.Fatal(err)
	}
	o := Options{Source: src, Targets: []string{filepath.Join(at, "t")}, State: filepath.Join(t.TempDir(), "st")}
	for range 3 {
		r := start(t, o)
		r.await("it has both names", func() bool { return !absent(filepath.Join(at, "t/a")) && !absent(filepath.Join(at, "t/b")) })
		r.quiet(10 * time.Second)
		time.Sleep(1100 * time.Millisecond) // As long as the kernel keeps attributes.
		_ = r.stop()                        // What the target does not store is a problem at the end, too.
		if log := r.log.Output.String(); strings.Contains(log, "somebody else") {
			t.Error(log)
		}
	}
}
