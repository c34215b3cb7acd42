package activity_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/activity"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

var errGone = &weir.Error{Op: "talk", Kind: weir.KindAbsent, Err: errors.New("the program has gone")}

func TestOperationsAreTold(t *testing.T) {
	b := begin(t)
	w := b.watch(activity.Request{})
	v := b.volume
	must(t, v.Mkdir("d"), v.Create("d/a"), v.Write("d/a"), v.Rename("d/a", "b\n"), v.Mkdir("d/e"), v.Create("d/e/f"), v.Rename("d/e", "e"),
		v.Create("e/g"), v.Chmod("e"), v.Remove("e/f"), v.Link("e/g", "h"))
	w.wants("create /m/d", "create /m/d/a", "modify|close /m/d/a", `rename /m/d/a to "/m/b\n"`, "create /m/d/e", "create /m/d/e/f", "rename /m/d/e to /m/e",
		"create /m/e/g", "attrib /m/e", "delete /m/e/f", "create /m/h")
	must(t, v.Create("last"))
	first := w.next().Events[0]
	comm, err := os.ReadFile("/proc/1/comm") // whom volumes in memory name
	must(t, err)
	if first.PID != 1 || first.Process != weir.QuotePath(strings.TrimSuffix(string(comm), "\n")) || first.Volume != 1 || first.Dir || time.Since(first.Time) > time.Minute {
		t.Errorf("told %+v", first)
	}
}

// TestWhatIsGone has directories go before anybody looks.
func TestWhatIsGone(t *testing.T) {
	b := begin(t)
	v := b.volume
	must(t, v.Mkdir("old"), v.Create("old/a"))
	release := hold(t, b)
	w := b.watch(activity.Request{})
	must(t, v.Mkdir("d"), v.Create("d/a"), v.Remove("d/a"), v.Remove("d"), v.Remove("old/a"), v.Remove("old"))
	release()
	w.wants("create /m/d", "create /m/d/a", "delete /m/d/a", "delete /m/d", "delete <deleted directory>/a", "delete /m/old")
}

// hold has the monitor look at nothing until release: a name on another volume takes long.
func hold(t *testing.T, b *bench) (release func()) {
	t.Helper()
	free := make(chan struct{})
	b.volume.Slow(func() { <-free })
	return sync.OnceFunc(func() { close(free) })
}

func TestWhatIsAskedFor(t *testing.T) {
	b := begin(t)
	other := b.mount(2, "/m/sub/other")
	far := b.mount(3, "/far")
	comm, err := os.ReadFile("/proc/1/comm")
	must(t, err)
	init := strings.TrimSuffix(string(comm), "\n")
	for name, tt := range map[string]struct {
		request activity.Request
		want    []string
	}{
		"deletions":           {activity.Request{Ops: weir.OpDelete | weir.OpRename, Volume: 1}, []string{"rename /m/sub/a to /m/b", "delete /m/b"}},
		"a process":           {activity.Request{PID: 1, Volume: 2}, []string{"create /m/sub/other/o"}},
		"no process":          {activity.Request{PID: 2, Volume: 2}, nil},
		"a name":              {activity.Request{Process: init, Volume: 3}, []string{"create /far/f", "modify|close /far/f"}},
		"another name":        {activity.Request{Process: init + "x", Volume: 3}, nil},
		"a place":             {activity.Request{Path: "/m/sub", Volume: 1}, []string{"create /m/sub", "create /m/sub/a", "rename /m/sub/a to /m/b"}},
		"a volume at a place": {activity.Request{Path: "/m/sub/other", Volume: 2}, []string{"create /m/sub/other/o"}},
		"a file":              {activity.Request{Path: "/m/b", Volume: 1}, []string{"rename /m/sub/a to /m/b", "delete /m/b"}},
		"reads":               {activity.Request{Reads: true, Volume: 3}, []string{"create /far/f", "open /far/f", "modify|close /far/f", "open /far/f", "access /far/f"}},
		"reads alone":         {activity.Request{Reads: true, Ops: weir.OpAccess, Volume: 3}, []string{"access /far/f"}},
		"similar prefix":      {activity.Request{Path: "/m/su", Volume: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			end := b.watch(activity.Request{Path: "/m/end", Volume: 1})
			w := b.watch(tt.request)
			must(t, b.volume.Mkdir("sub"), b.volume.Create("sub/a"), b.volume.Rename("sub/a", "b"), b.volume.Remove("b"))
			must(t, far.Create("f"), far.Write("f"), far.Read("f"))
			if name != "a place" {
				must(t, other.Create("o"))
			}
			w.wants(tt.want...)
			if name == "a place" { // Volumes keep no order among each other.
				must(t, other.Create("o"))
				w.wants("create /m/sub/other/o")
			}
			must(t, other.Remove("o"), far.Remove("f"), b.volume.Remove("sub"), b.volume.Create("end"), b.volume.Remove("end"))
			end.wants("create /m/end", "delete /m/end")
			end.hangUp()
			w.hangUp()
		})
	}
}

// TestNobodyWatchesNothing counts what reaches the monitor.
func TestNobodyWatchesNothing(t *testing.T) {
	b := begin(t)
	b.mount(2, "/other")
	completed := func() uint64 { return b.Snapshot().Filters[0].Stats.Completed }
	must(t, b.volume.Create("a"))
	if s := b.Snapshot(); !s.Slot(activity.Name, 1).Idle || s.Filters[0].Asks() {
		t.Errorf("while nobody watches, the monitor is %+v", s.Slot(activity.Name, 1))
	}
	w := b.watch(activity.Request{Volume: 2})
	if s := b.Snapshot(); !s.Slot(activity.Name, 1).Idle || s.Slot(activity.Name, 2).Idle {
		t.Errorf("while somebody watches, the monitor is %+v", s.Slots)
	}
	if len(w.now.Volumes) != 1 || w.now.Volumes[0] != 2 {
		t.Errorf("watched is %+v", w.now)
	}
	must(t, b.volume.Create("b"))
	if n := completed(); n != 0 {
		t.Errorf("%d operations reached the monitor while nobody watched the volume", n)
	}
	w.hangUp()
	all := b.watch(activity.Request{})
	must(t, b.volume.Create("c"))
	all.wants("create /m/c")
	all.hangUp()
	must(t, b.volume.Create("d"))
	if n := completed(); n != 1 {
		t.Errorf("%d operations reached the monitor, one was watched", n)
	}
}

// TestStormIsToldOrCounted watches with a program that does not read, and then reads all.
func TestStormIsToldOrCounted(t *testing.T) {
	const storm = 100_000
	b := begin(t)
	w := b.watch(activity.Request{})
	fast := b.watch(activity.Request{Ops: weir.OpDelete})
	begun := time.Now()
	for i := range storm / 2 {
		name := fmt.Sprint("f", i)
		must(t, b.volume.Create(name), b.volume.Remove(name))
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("a program that does not read holds up the others: %v", took)
	}
	for uint64(len(w.events))+w.dropped < storm {
		w.next()
	}
	if got := uint64(len(w.events)) + w.dropped; got != storm || w.dropped == 0 || len(w.events) < 10_000 {
		t.Errorf("%d told and %d dropped of %d", len(w.events), w.dropped, storm)
	}
	fast.next()
}

func TestVolumesComeAndGo(t *testing.T) {
	b := begin(t)
	all, one := b.watch(activity.Request{}), b.watch(activity.Request{Volume: 1})
	must(t, b.volume.Create("a"))
	all.wants("create /m/a")
	one.wants("create /m/a")
	later := b.mount(2, "/later")
	must(t, later.Create("a"))
	all.wants("create /later/a")
	must(t, b.volume.Create("b"))
	b.discovery.Unmount(b.volume)
	one.wants("create /m/b")
	for one.end.End == "" {
		one.next()
	}
	for len(all.notes) < 2 {
		all.next()
	}
	if one.end.End != "volume 1 (/m) has left" || all.notes[1] != one.end.End || one.end.Kind != 0 {
		t.Errorf("told %+v and %q", one.end, all.notes)
	}
	must(t, <-one.ended, later.Create("c"))
	all.wants("create /m/b", "create /later/c")
	b.discovery.Remount(later, "/again")
	for deadline := time.Now().Add(10 * time.Second); ; {
		must(t, later.Create("d"), later.Remove("d"))
		if all.next(); all.events[len(all.events)-1].Path == "/again/d" || time.Now().After(deadline) {
			break
		}
	}
}

func TestUnloadingSaysSo(t *testing.T) {
	b := begin(t)
	w := b.watch(activity.Request{})
	if err := b.Unload(t.Context(), activity.Name, false, ""); err == nil || !strings.Contains(err.Error(), "unload filter activity: programs watch what it tells, 1 of them; weir unload --force") {
		t.Errorf("while somebody watches: %v", err)
	}
	go func() { _ = b.Unload(t.Context(), activity.Name, true, "") }()
	for w.end.End == "" {
		w.next()
	}
	if w.end.Kind != weir.KindAbsent || <-w.ended != nil {
		t.Errorf("the end is %+v", w.end)
	}
}

func TestOddVolumesAndRequests(t *testing.T) {
	b := begin(t)
	v := memory.NewVolume(2, "/odd")
	v.Refuse(&weir.Error{Op: "attach", Kind: weir.KindUnsupported, Err: errors.New("no handles")})
	b.discovery.Mount(v)
	must(t, b.Wait(t.Context(), func(s manager.Snapshot) bool { return s.Slot(activity.Name, 2) != nil && s.Settled() }))
	w := b.watch(activity.Request{})
	if len(w.now.Unwatched) != 1 || w.now.Unwatched[0].Volume != 2 || !strings.Contains(w.now.Unwatched[0].Why, "no handles") {
		t.Errorf("watched is %+v", w.now)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	place, err := b.Connect(ctx, activity.Name, weir.Peer{})
	must(t, err)
	odd := &watcher{pipe: newPipe(), t: t}
	go func() { _ = place.Talk(odd.pipe) }()
	odd.from <- []byte(`{"ops":"fly"}`)
	if m := odd.next(); m.Kind != weir.KindRefused || !strings.Contains(m.End, "there is no such operation; there are create") {
		t.Errorf("told %+v", m)
	}
}

// TestRequestsAreRead has nothing ignored that is in one.
func TestRequestsAreRead(t *testing.T) {
	b := begin(t)
	for text, why := range map[string]string{
		`{"x":1}`:            `unknown field "x"; send one JSON object; its fields are ops,`,
		`{"comm":"touch"}`:   `unknown field "comm"`,
		`{} {"ops":"close"}`: "something follows the object",
		`garbage`:            "the request is not understood: ",
		``:                   "the request is not understood: ",
	} {
		place, err := b.Connect(t.Context(), activity.Name, weir.Peer{})
		must(t, err)
		w := &watcher{pipe: newPipe(), t: t, ended: make(chan error, 1)}
		go func() { w.ended <- place.Talk(w.pipe) }()
		w.from <- []byte(text)
		if m := w.next(); m.Kind != weir.KindRefused || !strings.Contains(m.End, why) || m.Watching != nil {
			t.Errorf("%q: told %+v", text, m)
		}
		if err := <-w.ended; weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestProcessesWithoutNames counts what a process did of which nobody knows whether it has the name that is asked for.
func TestProcessesWithoutNames(t *testing.T) {
	b := begin(t)
	gone := exec.Command("true")
	must(t, gone.Run())
	one, other := b.watch(activity.Request{Process: "nobody", Volume: 1, Path: "/m/d"}), b.watch(activity.Request{Process: "exited"})
	dir, err := b.volume.Handle("")
	must(t, err)
	for _, name := range []string{"d", "e"} {
		must(t, b.volume.Do(t.Context(), &weir.Parameters{Op: weir.OpCreate, Dir: dir, Name: name, PID: gone.Process.Pid}).Err)
	}
	must(t, b.volume.Create("d2"))
	other.wants("create /m/d", "create /m/e")
	for one.unsure == 0 {
		one.next()
	}
	if one.unsure != 1 || len(one.events) > 0 || other.unsure != 0 {
		t.Errorf("%d and %d are undecided, and %s is told", one.unsure, other.unsure, one.lines())
	}
}

// TestMomentBeforeTheMark is told of whatever begins to be watched later, to those who watch it.
func TestMomentBeforeTheMark(t *testing.T) {
	b := begin(t)
	below, far := b.watch(activity.Request{Path: "/m"}), b.watch(activity.Request{Path: "/far"})
	v := b.mount(2, "/elsewhere")
	must(t, v.Create("unseen"))
	later := b.mount(3, "/m/later")
	must(t, later.Create("seen"))
	below.wants("create /m/later/seen")
	b.discovery.Remount(v, "/elsewhere", "/m/bound")
	for len(below.notes) < 2 {
		below.next()
	}
	must(t, v.Create("seen"))
	below.wants("create /m/bound/seen")
	for i, title := range []string{"volume 3 (/m/later)", "volume 2 (/elsewhere)"} {
		var at string
		if n, err := fmt.Sscanf(strings.TrimPrefix(below.notes[i], title), " is watched from %s on: what happened there between its mount and then was", &at); n != 1 {
			t.Errorf("told %q: %v", below.notes[i], err)
		} else if at, err := time.Parse(time.RFC3339, at); err != nil || time.Since(at) > time.Minute {
			t.Error(at, err)
		}
	}
	must(t, b.volume.Create("end"))
	below.wants("create /m/end")
	far.hangUp()
	if len(below.notes) != 2 || len(far.notes) != 0 {
		t.Errorf("told %q and %q", below.notes, far.notes)
	}
}

// TestSeveralInstances has two of them on a volume, of which each tells everything once, and takes one away.
func TestSeveralInstances(t *testing.T) {
	f := activity.New().Filter()
	f.Instances = []weir.Definition{{Name: "activity", Altitude: f.Altitude}, {Name: "low", Altitude: weir.MustAltitude("365000.5")}}
	b := beginWith(t, f)
	w := b.watch(activity.Request{Volume: 1})
	if len(w.now.Volumes) != 1 || w.now.Volumes[0] != 1 || len(w.now.Unwatched) != 0 {
		t.Errorf("watching %+v", w.now)
	}
	told := func(instances ...string) {
		t.Helper()
		must(t, b.volume.Create("a"), b.volume.Remove("a"))
		got, want := map[string]int{}, map[string]int{}
		for _, in := range instances {
			want[in+" create /m/a"], want[in+" delete /m/a"] = 1, 1
		}
		for len(w.events) < 2*len(instances) {
			w.next()
		}
		for _, e := range w.events {
			got[fmt.Sprintf("%s %s %s", e.Instance, e.Ops, e.Path)]++
		}
		if w.events = nil; !maps.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	}
	told("", "low")
	must(t, b.Detach(t.Context(), activity.Name, "low", 1, "root"))
	for len(w.notes) == 0 {
		w.next()
	}
	if note := w.notes[0]; !strings.Contains(note, "is not watched any more by instance low: somebody has detached it") {
		t.Errorf("note %q", note)
	}
	told("")
	must(t, b.Detach(t.Context(), activity.Name, "activity", 1, "root"))
	for w.end.End == "" {
		w.next()
	}
	if !strings.Contains(w.end.End, "somebody has detached the filter") {
		t.Errorf("the end: %q", w.end.End)
	}
}

// Who watches is told that weir has taken the filter away, and not that the volume has left.
func TestRemovalIsToldApart(t *testing.T) {
	f := activity.New().Filter()
	setUp := f.Setup
	hosts := make(chan weir.Host, 1)
	f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
		in, err := setUp(ctx, site)
		hosts <- site.Host
		return in, err
	}
	b := beginWith(t, f)
	w := b.watch(activity.Request{Volume: 1})
	host := <-hosts
	host.DropContext(weir.ContextKey{Kind: weir.ContextVolume}) // which the filter has not registered
	for w.end.End == "" {
		w.next()
	}
	if !strings.Contains(w.end.End, "is not watched any more: weir has taken away the filter") {
		t.Errorf("the end: %q", w.end.End)
	}
}
