package daemon

import (
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/topology"
)

// mountsOften is how often TestFirstOperationIsSeen mounts each type; the long run does it 150 times.
var mountsOften = flag.Int("mounts", 25, "mounts of each type in TestFirstOperationIsSeen")

// recorder is a filter that remembers what was made on volumes that are mounted at one point.
type recorder struct {
	at string

	mu   sync.Mutex
	made map[weir.VolumeID][]string
}

func (r *recorder) filter(altitude string, setUp func(context.Context) error) *weir.Filter {
	return &weir.Filter{
		Name: "recorder", Altitude: weir.MustAltitude(altitude), Wants: weir.OpCreate,
		Concerns: func(_ context.Context, v weir.Volume) error {
			if slices.ContainsFunc(v.Info().Mounts, func(m weir.Mount) bool { return m.Point == r.at }) {
				return nil
			}
			return weir.ErrDecline
		},
		Setup: func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			return &recording{r, site.Volume.ID()}, setUp(ctx)
		},
	}
}

type recording struct {
	r      *recorder
	volume weir.VolumeID
}

func (i *recording) Completed(operations []weir.Operation) {
	i.r.mu.Lock()
	defer i.r.mu.Unlock()
	for _, op := range operations {
		i.r.made[i.volume] = append(i.r.made[i.volume], op.Name)
	}
}
func (*recording) Lost(string)                                   {}
func (*recording) Changed()                                      {}
func (*recording) Teardown(context.Context, weir.TeardownReason) {}

func (r *recorder) saw(volume weir.VolumeID, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.made[volume], name)
}

func willing(context.Context) error { return nil }

// mountPoint makes a directory in which nothing can be made until a volume is mounted on it.
func mountPoint(t *testing.T, path string) string {
	t.Helper()
	voltest.RequireTool(t, "chattr", "e2fsprogs")
	mkdir(t, path)
	if err := runTool("chattr", "+i", path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = runTool("chattr", "-i", path) })
	return path
}

// firstWriter spins until a file can be made.
func firstWriter(path string) (done chan error) {
	done = make(chan error, 1)
	go func() {
		for {
			file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			switch {
			case err == nil:
				done <- file.Close()
				return
			case !errors.Is(err, syscall.EPERM):
				done <- err
				return
			}
		}
	}()
	return done
}

// TestFirstOperationIsSeen mounts while a writer spins on the mount point: weir mount lets no operation by, and the same
// by mount(2) some.
func TestFirstOperationIsSeen(t *testing.T) {
	voltest.RequireRoot(t)
	home := voltest.New(t, "ext4").Dir
	src, at := mkdir(t, filepath.Join(home, "s")), mountPoint(t, filepath.Join(home, "m"))
	r := start(t, Options{Source: src, Targets: []string{voltest.New(t, "xfs").Dir}, State: filepath.Join(t.TempDir(), "st")})
	rec := &recorder{at: at, made: map[weir.VolumeID][]string{}}
	if err := r.m.manager.Start(rec.filter("370031", willing)); err != nil {
		t.Fatal(err)
	}
	for _, fs := range []string{"tmpfs", "ext4"} {
		d := voltest.New(t, fs, voltest.Unmounted())
		source := d.Device
		if fs == "tmpfs" {
			source = "none"
		}
		missed := 0
		for n := range 2 * *mountsOften {
			ours := n%2 == 0
			name := "first" + strings.Repeat("x", n)[:n%9] + time.Now().Format("150405.000000000")
			wrote := firstWriter(filepath.Join(at, name))
			time.Sleep(time.Duration(n%5) * time.Millisecond)
			var id weir.VolumeID
			if ours {
				m, err := controlled{r.m.manager, r.m}.Mount(t.Context(), control.MountRequest{Type: fs, Device: source, Dir: at, Require: true}, os.Getpid())
				if err != nil {
					t.Fatal(err)
				}
				if id = m.Volume; !slices.Contains(m.Instances, "recorder") {
					t.Fatalf("mounted as %+v", m)
				}
			} else if err := unix.Mount(source, at, fs, 0, ""); err != nil {
				t.Fatal(err)
			}
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
			v, err := r.m.watcher.At(at)
			if err != nil || ours && v.ID() != id {
				t.Fatalf("volume %d is shown, not %d: %v", v.ID(), id, err)
			}
			if ours {
				r.await("the first operation of mount "+name, func() bool { return rec.saw(v.ID(), name) })
			} else {
				r.await("an instance", func() bool {
					slot := r.m.manager.Snapshot().Slot("recorder", v.ID())
					return slot != nil && slot.State.String() == "attached"
				})
				time.Sleep(20 * time.Millisecond)
				if !rec.saw(v.ID(), name) {
					missed++
				}
			}
			if err := unix.Unmount(at, 0); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%s: mount(2) had %d of %d first operations missed, weir mount none of %d", fs, missed, *mountsOften, *mountsOften)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestMirrorSeesMountsOfWeirWithoutAGap mounts below the source.
func TestMirrorSeesMountsOfWeirWithoutAGap(t *testing.T) {
	voltest.RequireRoot(t)
	home, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(home, "s"))
	at := mountPoint(t, filepath.Join(src, "m"))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Replaced: policy.ReplacedMirror})
	for _, fs := range []string{"tmpfs", "ext4", "tmpfs", "ext4", "tmpfs"} {
		d := voltest.New(t, fs, voltest.Unmounted())
		source := d.Device
		if fs == "tmpfs" {
			source = "none"
		}
		wrote := firstWriter(filepath.Join(at, "first"))
		m, err := controlled{r.m.manager, r.m}.Mount(t.Context(), control.MountRequest{Type: fs, Device: source, Dir: at, Require: true}, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil || !slices.Equal(m.Instances, []string{"replicate"}) {
			t.Fatalf("%+v, %v", m, err)
		}
		write(t, filepath.Join(at, "first"), fs)
		r.awaitText(filepath.Join(dst, "m/first"), fs)
		r.equal(src, dst)
		for _, gap := range r.m.ledger.Gaps() {
			t.Errorf("a gap: %+v", gap)
		}
		r.quiet(10 * time.Second) // One that leaves before it was compared leaves a gap.
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestMountNamesWhatFails has a filter that fails, and one that hangs.
func TestMountNamesWhatFails(t *testing.T) {
	voltest.RequireRoot(t)
	home := voltest.New(t, "ext4").Dir
	src, at := mkdir(t, filepath.Join(home, "s")), mkdir(t, filepath.Join(home, "m"))
	r := start(t, Options{Source: src, Targets: []string{voltest.New(t, "xfs").Dir}, State: filepath.Join(t.TempDir(), "st")})
	rec := &recorder{at: at, made: map[weir.VolumeID][]string{}}
	sick := func(context.Context) error { return errors.New("it is sick") }
	if err := r.m.manager.Start(rec.filter("370031", sick)); err != nil {
		t.Fatal(err)
	}
	engine, wanted := controlled{r.m.manager, r.m}, control.MountRequest{Type: "tmpfs", Device: "none", Dir: at, Require: true}
	r.awaitPhase(src, replicate.PhaseInSync)
	before := marks(t)
	_, err := engine.Mount(t.Context(), wanted, os.Getpid())
	if err == nil || !strings.Contains(err.Error(), "filter recorder has failed on it: it is sick") || !strings.Contains(err.Error(), "--require") {
		t.Errorf("with --require: %v", err)
	}
	if r.m.watcher.IsMountPoint(at) {
		t.Error("it is mounted")
	}
	r.await("nothing marked", func() bool { // more than before: what others mount may have been looked at then
		now := marks(t)
		maps.DeleteFunc(now, func(device string, n int) bool { return n <= before[device] })
		return len(now) == 0
	})
	wanted.Require = false
	m, err := engine.Mount(t.Context(), wanted, os.Getpid())
	if err != nil || len(m.Troubles) != 1 || !strings.Contains(m.Troubles[0], "it is sick") || !r.m.watcher.IsMountPoint(at) {
		t.Errorf("without: %+v, %v", m, err)
	}
	if err := unix.Unmount(at, 0); err != nil {
		t.Error(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestMountNamesWhatIsHeld mounts another volume where one was replicated. It is refused if every filter is demanded, before
// anybody could use it, and told otherwise.
func TestMountNamesWhatIsHeld(t *testing.T) {
	voltest.RequireRoot(t)
	src := voltest.New(t, "ext4").Dir
	at := filepath.Join(src, "m")
	nested := voltest.New(t, "ext4", voltest.At(at))
	write(t, filepath.Join(at, "f"), "1")
	dst := voltest.New(t, "xfs").Dir
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.awaitPhase(at, replicate.PhaseInSync)
	nested.Unmount()
	r.awaitPhase(at, replicate.PhaseSourceAbsent)
	engine := controlled{r.m.manager, r.m}
	other := voltest.New(t, "ext4", voltest.Unmounted())
	for _, fs := range []string{"tmpfs", "ext4"} {
		wanted := control.MountRequest{Type: fs, Device: "none", Dir: at, Require: true}
		if fs == "ext4" {
			wanted.Device = other.Device
		}
		before, gaps := len(r.m.manager.Snapshot().Volumes), r.gapsAt(at)
		_, err := engine.Mount(t.Context(), wanted, os.Getpid())
		if err == nil || !strings.Contains(err.Error(), "filter replicate holds it: "+at+": ") || !strings.Contains(err.Error(), "--replaced") {
			t.Errorf("%s with --require: %v", fs, err)
		}
		if r.m.watcher.IsMountPoint(at) {
			t.Errorf("%s is mounted", fs)
		}
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		r.await("the volume is no more", func() bool { return len(r.m.manager.Snapshot().Volumes) == before })
		if now := r.gapsAt(at); len(now) > len(gaps) {
			t.Errorf("%s, refused, has left a gap: %+v", fs, now[len(gaps):])
		}
		wanted.Require = false
		m, err := engine.Mount(t.Context(), wanted, os.Getpid())
		if err != nil || len(m.Troubles) != 1 || !strings.Contains(m.Troubles[0], "filter replicate holds it: ") {
			t.Errorf("%s without: %+v, %v", fs, m, err)
		}
		r.awaitPhase(at, replicate.PhaseHeld)
		if now := r.gapsAt(at); len(now) > len(gaps) {
			t.Errorf("%s has a gap although weir has mounted it: %+v", fs, now[len(gaps):])
		}
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		r.await("the volume is no more", func() bool { return len(r.m.manager.Snapshot().Volumes) == before })
		if now := r.gapsAt(at); len(now) != len(gaps)+1 || now[len(gaps)].Cause != "left before its scan ended" {
			t.Errorf("%s has left with the gaps %+v", fs, now[len(gaps):])
		}
	}
	m, err := engine.Mount(t.Context(), control.MountRequest{Type: "ext4", Device: nested.Device, Dir: at, Require: true}, os.Getpid())
	if err != nil || len(m.Troubles) > 0 {
		t.Errorf("what stood there: %+v, %v", m, err)
	}
	r.awaitPhase(at, replicate.PhaseInSync)
	if err := errors.Join(unix.Unmount(at, 0), r.stop()); err != nil {
		t.Fatal(err)
	}
}

// gapsAt lists the gaps of volumes that are mounted at a point, or were, or were to be.
func (r *running) gapsAt(point string) (gaps []ledger.Gap) {
	for _, g := range r.m.ledger.Gaps() {
		if g.Volume != 0 && (g.Point == point || g.Point == "") {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// A mount that demands every filter is refused, too, if weir has taken one away again.
func TestRemovalIsATroubleOfAMount(t *testing.T) {
	slot := manager.SlotSnapshot{State: topology.SlotRemoved, Why: "it has broken rule double-resume"}
	if got := troubleOf(slot, manager.LinkSnapshot{}); got != "was taken away from it by weir: it has broken rule double-resume" {
		t.Errorf("told %q", got)
	}
}

// TestMountNamesWhatIsNotFollowed mounts a volume over more than the brake lets go.
func TestMountNamesWhatIsNotFollowed(t *testing.T) {
	voltest.RequireRoot(t)
	src := voltest.New(t, "ext4").Dir
	at := filepath.Join(src, "m")
	for i := range 3 {
		write(t, filepath.Join(mkdir(t, at), name("f", i)), "1")
	}
	few, err := policy.ParseBrake("2")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, Options{Source: src, Targets: []string{voltest.New(t, "xfs").Dir}, State: filepath.Join(t.TempDir(), "st"), Brake: few})
	r.awaitPhase(src, replicate.PhaseInSync)
	engine, wanted := controlled{r.m.manager, r.m}, control.MountRequest{Type: "tmpfs", Device: "none", Dir: at, Require: true}
	_, err = engine.Mount(t.Context(), wanted, os.Getpid())
	if err == nil || !strings.Contains(err.Error(), "filter replicate holds it: "+at+": it covers 3 names, more than --max-delete lets go; ") {
		t.Errorf("with --require: %v", err)
	}
	r.await("no remark stays", func() bool { return len(r.m.replicator.Filter().Remarks()) == 0 })
	wanted.Require = false
	m, err := engine.Mount(t.Context(), wanted, os.Getpid())
	if err != nil || len(m.Troubles) != 1 || !strings.Contains(m.Troubles[0], "filter replicate holds it: ") {
		t.Errorf("without: %+v, %v", m, err)
	}
	r.await("the remark of the survey alone", func() bool {
		remarks := r.m.replicator.Filter().Remarks()
		return len(remarks) == 1 && remarks[0].Volume == m.Volume && len(r.m.Status().Problems) == 1
	})
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	r.await("no remark stays", func() bool { return len(r.m.replicator.Filter().Remarks()) == 0 })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestMountNamesWhatIsHeldAboveAnother mounts a volume over the one that is replicated from there, which stays below it: one that
// is new, and one that is replicated from another place already.
func TestMountNamesWhatIsHeldAboveAnother(t *testing.T) {
	voltest.RequireRoot(t)
	src := voltest.New(t, "ext4").Dir
	at := filepath.Join(src, "m")
	voltest.New(t, "ext4", voltest.At(at))
	write(t, filepath.Join(at, "f"), "1")
	r := start(t, Options{Source: src, Targets: []string{voltest.New(t, "xfs").Dir}, State: filepath.Join(t.TempDir(), "st")})
	r.awaitPhase(at, replicate.PhaseInSync)
	noRemark := func() {
		t.Helper()
		r.await("no remark stays", func() bool { return len(r.m.replicator.Filter().Remarks()) == 0 })
	}
	engine := controlled{r.m.manager, r.m}
	known := voltest.New(t, "ext4", voltest.At(mkdir(t, filepath.Join(src, "n"))))
	r.awaitPhase(known.Dir, replicate.PhaseInSync)
	for _, wanted := range []control.MountRequest{{Type: "tmpfs", Device: "none"}, {Type: "ext4", Device: known.Device}} {
		wanted.Dir, wanted.Require = at, true
		_, err := engine.Mount(t.Context(), wanted, os.Getpid())
		if err == nil || !strings.Contains(err.Error(), "filter replicate holds it: "+at+": a different volume is here") {
			t.Fatalf("%s with --require: %v", wanted.Type, err)
		}
		noRemark()
		wanted.Require = false
		m, err := engine.Mount(t.Context(), wanted, os.Getpid())
		if err != nil || len(m.Troubles) != 1 || !strings.Contains(m.Troubles[0], "filter replicate holds it: "+at+": ") {
			t.Errorf("%s without: %+v, %v", wanted.Type, m, err)
		}
		r.awaitPhase(at, replicate.PhaseHeld)
		if remarks := r.m.replicator.Filter().Remarks(); len(remarks) != 1 || remarks[0].Volume != m.Volume {
			t.Errorf("it is said %+v", remarks)
		}
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
		r.awaitPhase(at, replicate.PhaseInSync)
		noRemark()
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
