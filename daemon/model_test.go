package daemon

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestModel performs random operations on a source while a mirror runs, stops and starts it at random
// points, mounts and unmounts, edits the replica meanwhile, loses events, and compares at each quiet point.
func TestModel(t *testing.T) {
	voltest.RequireRoot(t)
	voltest.RequireTool(t, "rsync", "rsync")
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("12"); err != nil { // Of each pair. What takes longer is for make torture.
			t.Fatal(err)
		}
		defer func() { _ = checks.Value.Set(checks.DefValue) }()
	}
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			from, to, second := voltest.New(t, pair[0]), voltest.New(t, pair[1]), voltest.New(t, "ext4")
			volumes := newNested(t)
			home := voltest.New(t, "ext4").Dir
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				w := &world{
					T: rt, source: filepath.Join(from.Dir, fmt.Sprint("s", n)), target: filepath.Join(to.Dir, fmt.Sprint("r", n)),
					state: filepath.Join(t.TempDir(), fmt.Sprint(n)), tb: t, fallback: n%2 == 0, second: second, nested: volumes,
					other: filepath.Join(second.Dir, fmt.Sprint("o", n)), points: map[inodeID]int{}, home: filepath.Join(home, fmt.Sprint(n)),
					outside: filepath.Join(from.Dir, fmt.Sprint("out", n)),
				}
				w.run()
			})
		})
	}
}

// world is one source tree with its mirror.
type world struct {
	*rapid.T
	tb                    *testing.T
	source, target, state string
	outside               string // on the volume of the source, and no part of that
	fallback              bool
	mirror                *running
	serial                int

	second *voltest.Volume // carries the target other, and is unmounted at random
	other  string

	nested []*nested
	points map[inodeID]int // directories on which volumes were mounted
	home   string          // what the blind volume stands on
	blind  string          // where it is mounted; "" for none
	lossy  bool
	mix    int
}

func (w *world) run() {
	for _, dir := range []string{w.source, w.target, w.outside, w.other, w.home} {
		must(w, os.Mkdir(dir, 0o755))
	}
	defer w.clean()
	w.lossy = rapid.IntRange(0, 2).Draw(w.T, "lossy") == 0
	w.mix = rapid.IntRange(0, 3).Draw(w.T, "mix")
	w.mountBlind()
	w.begin()
	rounds := rapid.IntRange(1, 4).Draw(w.T, "rounds")
	for range rounds {
		for range rapid.IntRange(1, 40).Draw(w.T, "operations") {
			w.operation()
		}
		switch rapid.IntRange(0, 4).Draw(w.T, "restart") {
		case 0:
			w.restart()
		case 1:
			w.toggleSecond()
		}
		w.compare()
	}
	if !w.second.Mounted() {
		w.toggleSecond()
	}
	w.compare()
	w.settle()
	w.rsync()
}

// mountBlind mounts a volume that reports no events, or none.
func (w *world) mountBlind() {
	// By these it is known again, whatever else becomes of it while weir is stopped.
	for _, layer := range []string{w.home, filepath.Join(w.home, "l")} {
		populate(w.tb, mkdir(w.tb, filepath.Join(layer, "same")), 1, 3)
	}
	switch rapid.IntRange(0, 4).Draw(w.T, "blind") {
	case 0:
		w.blind = filepath.Join(w.source, "blind")
		voltest.Overlay(w.tb, false, filepath.Join(w.home, "l"), filepath.Join(w.home, "u"), filepath.Join(w.home, "w"), w.blind)
	case 1:
		w.blind = filepath.Join(w.source, "blind")
		voltest.Bindfs(w.tb, w.home, w.blind)
	}
}

func (w *world) clean() {
	if w.mirror != nil {
		_ = w.mirror.stop()
	}
	if w.blind != "" {
		_ = unix.Unmount(w.blind, unix.MNT_DETACH)
	}
	w.unmountAll()
	if !w.second.Mounted() {
		w.second.Mount()
	}
	for _, dir := range []string{w.source, w.target, w.outside, w.other, w.home} {
		_ = os.RemoveAll(dir)
	}
}

// restart stops the mirror, changes both sides, and starts it again.
func (w *world) restart() {
	w.end()
	for range rapid.IntRange(0, 20).Draw(w.T, "operations while stopped") {
		w.operation()
	}
	for range rapid.IntRange(0, 6).Draw(w.T, "edits of the replica") {
		w.edit()
	}
	w.begin()
}

// toggleSecond unmounts the second target, or mounts it again. Nothing may be written where it was.
func (w *world) toggleSecond() {
	if w.second.Mounted() {
		w.second.Unmount()
		return
	}
	if list, err := os.ReadDir(w.second.Dir); err != nil || len(list) > 0 {
		w.Fatalf("the bare mount point of a target: %v, %v", list, err)
	}
	w.second.Mount()
}

func (w *world) begin() {
	o := Options{
		Source: w.source, Targets: []string{w.target, w.other}, State: w.state, Fallback: w.fallback, ScanInterval: 100 * time.Millisecond,
	}
	if w.lossy {
		o.wrapPlane = func(p weir.Plane) weir.Plane { return lossyPlane{p, uint64(w.mix)} }
	}
	w.mirror = start(w.tb, o)
}

func (w *world) end() {
	if w.blind != "" {
		w.settle() // So that nothing but a scan of the blind volume, which begins all the time, can be behind.
	}
	m := w.mirror
	w.mirror = nil
	err := m.stop()
	// A volume that is scanned all the time may be in the middle of that.
	if err != nil && (w.second.Mounted() && w.blind == "" || weir.KindOf(err) != weir.KindBehind) {
		w.Fatalf("stop: %v\n%s", err, m.log)
	}
}

// compare waits until the targets that are there equal the source, apart from the places whose volume is away.
func (w *world) compare() {
	targets := []string{w.target}
	if w.second.Mounted() {
		targets = append(targets, w.other)
	}
	away := w.away()
	for _, target := range targets {
		w.mirror.equalBut(w.source, target, func(path string) bool { return away[path] })
	}
	w.tellsOfAway()
}

// settle waits until every unit whose volumes are there is in sync.
func (w *world) settle() {
	w.mirrorless("all is durable", func() bool {
		for _, u := range w.mirror.m.Status().Units {
			switch {
			case u.Sight != "":
			case u.Phase == replicate.PhaseInSync, u.Phase == replicate.PhaseSourceAbsent, u.Phase == replicate.PhaseBraked:
			case u.Phase == replicate.PhaseTargetAbsent && !w.second.Mounted():
			default:
				return false
			}
		}
		return true
	})
}

// mirrorless waits for something, and fails the draw rather than the test.
func (w *world) mirrorless(what string, ok func() bool) {
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			text := ""
			if w.mirror != nil {
				text = fmt.Sprintf("%+v\n%s", w.mirror.m.Status(), w.mirror.log)
			}
			w.Fatalf("%s: not within 10 s\n%s", what, text)
		}
	}
}

// rsync asks rsync what it would copy or delete.
func (w *world) rsync() {
	if len(w.away()) > 0 {
		return
	}
	out, err := exec.Command("rsync", "-niaHAXc", "--delete", "--modify-window=-1", "--exclude=/.weir", "--exclude=lost+found",
		w.source+"/", w.target+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		w.Fatalf("rsync sees differences: %v\n%s", err, out)
	}
}
