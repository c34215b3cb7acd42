package fanotify

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	sys "github.com/weirfs/weir/internal/sys/fanotify"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/plane/planetest"
)

func attach(t testing.TB, p *Plane, v weir.Volume) (*planetest.Sink, weir.Attachment) {
	t.Helper()
	s := planetest.NewSink()
	a, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, s)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func named(name string) func(weir.Operation) bool {
	return func(op weir.Operation) bool { return op.Name == name }
}

// A volume that leaves a shared group must take its mark along, and the others must stay covered.
func TestSharersComeAndGo(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{Groups: 2})
	var volumes []*real
	var sinks []*planetest.Sink
	var attachments []weir.Attachment
	for range 6 {
		v := newReal(t, i, "tmpfs")
		s, a := attach(t, p, v)
		volumes, sinks, attachments = append(volumes, v), append(sinks, s), append(attachments, a)
	}
	if len(p.groups) != 2 || len(p.groups[0].all()) != 3 {
		t.Errorf("%d groups, the first with %d volumes", len(p.groups), len(p.groups[0].all()))
	}
	for k := 0; k < 6; k += 2 {
		must(t, attachments[k].Detach())
	}
	for k, v := range volumes {
		must(t, v.Create(fmt.Sprint("file", k)))
	}
	for k := 1; k < 6; k += 2 {
		sinks[k].Wait(t, "its own file", named(fmt.Sprint("file", k)))
		if len(sinks[k].Operations()) != 1 {
			t.Errorf("volume %d was told %+v", k, sinks[k].Operations())
		}
	}
	again, _ := attach(t, p, volumes[0])
	must(t, volumes[0].Create("again"))
	again.Wait(t, "a file after coming back", named("again"))
}

// Copies of an image have equal ids; events are told to both rather than to the wrong one.
func TestSharersWithEqualID(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{Groups: 1})
	v := newReal(t, i, "ext4")
	w := newReal(t, i, "ext4", voltest.CopyOf(v.kept.Image))
	s, _ := attach(t, p, v)
	r, a := attach(t, p, w)
	must(t, v.Create("on v"), w.Create("on w"))
	s.Wait(t, "on v", named("on v"))
	r.Wait(t, "on w", named("on w"))
	must(t, a.Detach(), v.Create("after"))
	s.Wait(t, "after the copy has gone", named("after"))
}

// The kernel's limit is the whole machine's, so a test must not exhaust it: the refusal is simulated.
func TestNoGroupLeft(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{})
	full := true
	p.newGroup = func(uint) (*sys.Group, error) {
		if full {
			return nil, fmt.Errorf("make fanotify group: %w", syscall.EMFILE)
		}
		return sys.NewGroup(sys.InitObserve)
	}
	v, w := newReal(t, i, "tmpfs"), newReal(t, i, "tmpfs")
	_, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, planetest.NewSink())
	if !errors.Is(err, syscall.EMFILE) || weir.KindOf(err) != weir.KindFailed || !strings.Contains(err.Error(), "fs.fanotify.max_user_groups") {
		t.Errorf("error %v", err)
	}
	full = false
	s, _ := attach(t, p, v)
	full = true
	r, _ := attach(t, p, w) // shares
	must(t, v.Create("on v"), w.Create("on w"))
	s.Wait(t, "on v", named("on v"))
	r.Wait(t, "on w", named("on w"))
	if len(p.groups) != 1 {
		t.Errorf("%d groups", len(p.groups))
	}
}

func TestLimitOfGroups(t *testing.T) {
	allowed, err := sys.MaxUserGroups()
	must(t, err)
	if got := newPlane(t, Options{}).limit(); got != max(1, allowed/2) {
		t.Errorf("the limit is %d of %d", got, allowed)
	}
	if got := newPlane(t, Options{Groups: 3}).limit(); got != 3 {
		t.Errorf("the limit is %d, want 3", got)
	}
}

// Whatever subvolume is mounted, all of the file system is observed.
func TestSubvolumeOfBtrfs(t *testing.T) {
	i := new(ids)
	v := newReal(t, i, "btrfs")
	run(t, "btrfs", "subvolume", "create", v.path("sub"))
	run(t, "btrfs", "subvolume", "create", v.path("other"))
	dir := filepath.Join(t.TempDir(), "sub")
	must(t, os.Mkdir(dir, 0o755))
	must(t, unix.Mount(v.kept.Device, dir, "btrfs", 0, "subvol=sub"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	v.kept.Unmount() // only the subvolume is mounted now
	sub := at(t, i, "btrfs", dir)
	for _, groups := range []int{0, 1} {
		p := newPlane(t, Options{Groups: groups})
		other, _ := attach(t, p, newReal(t, i, "btrfs"))
		s, a := attach(t, p, sub)
		name := fmt.Sprint("file", groups)
		must(t, sub.Create(name))
		d, err := sub.Handle("")
		must(t, err)
		s.Wait(t, "a file in the subvolume", func(op weir.Operation) bool { return op.Name == name && op.Dir == d })
		must(t, a.Detach())
		if len(other.Operations()) > 0 {
			t.Errorf("the other volume was told %+v", other.Operations())
		}
	}
	must(t, unix.Unmount(dir, 0)) // nothing is held
}

func TestUnsupported(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{})
	base := newReal(t, i, "tmpfs").dir
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(base, name), 0o755))
	}
	merged := filepath.Join(base, "merged")
	voltest.Overlay(t, false, filepath.Join(base, "lower"), filepath.Join(base, "upper"), filepath.Join(base, "work"), merged)
	for fs, dir := range map[string]string{"overlay": merged, "proc": "/proc"} {
		_, err := p.Attach(t.Context(), at(t, i, fs, dir), weir.Demand{Ops: weir.Changes}, planetest.NewSink())
		if weir.KindOf(err) != weir.KindUnsupported {
			t.Errorf("%s: error %v", fs, err)
		}
	}
	if len(p.groups) != 0 {
		t.Errorf("%d groups are left of what was refused", len(p.groups))
	}
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}
