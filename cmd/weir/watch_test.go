package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/filters/activity"
	"github.com/weirfs/weir/internal/voltest"
)

// watched is a running weir watch --json, or one without, of which only the output counts.
type watched struct{ *weirProcess }

// watch starts one and waits until it watches.
func watch(t *testing.T, args ...string) watched {
	t.Helper()
	w := watched{startWeir(t, append([]string{"watch", "--json"}, args...)...)}
	w.says(`"event":"watching"`, 1)
	return w
}

// events returns what has been told so far, and what was dropped.
func (w watched) events() (events []activity.Event, dropped uint64) {
	w.t.Helper()
	lines := bufio.NewScanner(strings.NewReader(w.output()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			What    string `json:"event"`
			Dropped uint64 `json:"dropped"`
			activity.Event
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue // The rest of it is yet to come.
		}
		if line.What == "operation" {
			events = append(events, line.Event)
		}
		dropped = max(dropped, line.Dropped)
	}
	return events, dropped
}

// tells waits for lines of the form "process: operations path", merged sets of one name as one, and wants no others.
func (w watched) tells(want ...string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, func() error {
		events, _ := w.events()
		var order []string
		sets := map[string]string{}
		for _, e := range events {
			key := e.Process + ": " + e.Path
			if e.To != "" {
				key += " to " + e.To
			}
			if sets[key] == "" && e.Ops != weir.OpAttrib {
				order = append(order, key)
			}
			for op := range strings.SplitSeq(e.Ops.String(), "|") {
				if op == "attrib" && e.Ops == weir.OpAttrib { // as when its last name goes
					continue
				}
				if !slices.Contains(strings.Split(sets[key], "|"), op) {
					sets[key] = strings.TrimPrefix(sets[key]+"|"+op, "|")
				}
			}
		}
		var got []string
		for _, key := range order {
			got = append(got, key+" "+sets[key])
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

// does has a process of its own do something, whose name is sh. It stays until release, so that it has a name.
func does(t *testing.T, script string) (pid int, release func()) {
	t.Helper()
	c := exec.Command("sh", "-c", script+"\necho done; read end || :")
	stay, err := c.StdinPipe()
	done, err2 := c.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(done).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, func() {
		if err := errors.Join(stay.Close(), c.Wait()); err != nil {
			t.Error(err)
		}
	}
}

func (w watched) interrupt(want string) {
	w.t.Helper()
	w.signal(unix.SIGINT)
	w.ends(0, 5*time.Second)
	if out := w.output(); !strings.Contains(out, want) {
		w.t.Errorf("the end does not say %q\n%s", want, out)
	}
}

// TestWatchTellsWhatHappens has a process create, rename and remove, on each type of file system.
func TestWatchTellsWhatHappens(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	asked(t, 2, "watch", "no weir is running; start weir mirror")
	p := s.mirror()
	asked(t, 0, "filters", `replicate`)
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			v := voltest.New(t, fs)
			eventually(t, 10*time.Second, func() error {
				if _, out, _ := weirRun("explain", v.Dir); strings.Contains(out, "not known yet") {
					return errors.New(out)
				}
				return nil
			})
			w := watch(t, v.Dir)
			d := v.Dir
			if err := os.Mkdir(d+"/d", 0o755); err != nil {
				t.Fatal(err)
			}
			pid, release := does(t, fmt.Sprintf("cd %s; : > d/a; : > 'new\nline'; : >> d/a", d))
			defer release()
			if err := os.Rename(d+"/d/a", d+"/b"); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(d + "/b"); err != nil {
				t.Fatal(err)
			}
			comm, err := os.ReadFile("/proc/self/comm")
			if err != nil {
				t.Fatal(err)
			}
			own := strings.TrimSpace(string(comm))
			w.tells(own+": "+d+"/d create", "sh: "+d+"/d/a create|close", fmt.Sprintf("sh: %q create|close", d+"/new\nline"),
				own+": "+d+"/d/a to "+d+"/b rename", own+": "+d+"/b delete")
			events, dropped := w.events()
			if dropped != 0 || events[0].PID != os.Getpid() || events[1].PID != pid || !events[0].Dir || time.Since(events[0].Time) > time.Minute {
				t.Errorf("dropped %d, the first is %+v, of %d and %d", dropped, events[:2], os.Getpid(), pid)
			}
			w.interrupt(`"exit_status":0`)
		})
	}
	eventually(t, 10*time.Second, func() error {
		if out := asked(t, 0, "filters"); !strings.Contains(out, "not loaded: activity") {
			return fmt.Errorf("the filter stays loaded though nobody watches\n%s", out)
		}
		return nil
	})
	if out := asked(t, 0, "coverage --json"); strings.Contains(out, "activity") {
		t.Errorf("a monitor that has been unloaded counts as a gap\n%s", out)
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestWatchOfReads sees who reads, and does not see its own looking for names for ever.
func TestWatchOfReads(t *testing.T) {
	s := newStage(t)
	s.source = voltest.New(t, "ext4").Dir
	s.mirror()
	s.write("a")
	s.arrives("a", s.good)
	quiet := watch(t, s.source)
	w := watch(t, s.source, "--reads", "--comm", "sh")
	all := watch(t, s.source, "--reads")
	_, release := does(t, fmt.Sprintf("read line < %s/a || :", s.source))
	defer release()
	w.tells("sh: " + s.source + "/a open|access")
	for before := -1; ; time.Sleep(300 * time.Millisecond) {
		events, _ := all.events()
		if len(events) == before {
			break
		}
		if before = len(events); before > 1000 {
			t.Fatal("the monitor watches itself")
		}
	}
	if events, _ := quiet.events(); len(events) > 0 {
		t.Errorf("without --reads told %+v", events)
	}
	all.interrupt(`"exit_status":0`)
	w.interrupt(`"exit_status":0`)
	if err := os.WriteFile(s.source+"/b", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	quiet.tells("exe: " + s.source + "/b create|close")
	own := watch(t, filepath.Dir(s.good), "--comm", "weir", "--op", "create,rename")
	if err := os.WriteFile(s.source+"/c", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	own.says(s.good+"/c", 1) // What weir writes itself.
}

// TestWatchEndsWithItsVolume names one by its number, and has another see it leave.
func TestWatchEndsWithItsVolume(t *testing.T) {
	s := newStage(t)
	s.source = voltest.New(t, "ext4").Dir
	p := s.mirror()
	v := voltest.New(t, "xfs")
	eventually(t, 10*time.Second, func() error {
		if _, out, _ := weirRun("explain", v.Dir); strings.Contains(out, "not known yet") {
			return errors.New(out)
		}
		return nil
	})
	one, all, device := watch(t, s.numberOf(v.Dir)), watch(t), watch(t, v.Device)
	if err := os.WriteFile(v.Dir+"/a", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	one.tells("exe: " + v.Dir + "/a create|close")
	v.Unmount()
	one.ends(0, 5*time.Second)
	device.ends(0, 5*time.Second)
	left := "(" + v.Dir + ") has left"
	all.says(left, 1)
	if out := one.output(); !strings.Contains(out, left) || !strings.Contains(out, `"told":`) {
		t.Errorf("the end of the volume is not told\n%s", out)
	}
	v.Mount()
	if err := os.WriteFile(v.Dir+"/b", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	v.Unmount()
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
	all.ends(3, 5*time.Second)
	if out := all.output(); !strings.Contains(out, "start it again") && !strings.Contains(out, "is being unloaded") {
		t.Errorf("the end of the mirror is not told\n%s", out)
	}
}

// TestWatchTakesTheNameOfADirectory that is in the working directory, as other commands do.
func TestWatchTakesTheNameOfADirectory(t *testing.T) {
	s := newStage(t)
	s.mirror()
	t.Chdir(filepath.Dir(s.source))
	w := watch(t, filepath.Base(s.source), "--op", "create")
	s.write("f")
	eventually(t, 10*time.Second, func() error {
		if events, _ := w.events(); len(events) != 1 || events[0].Path != s.source+"/f" {
			return fmt.Errorf("told: %+v", events)
		}
		return nil
	})
	w.interrupt("")
}

// numberOf returns the number of the volume that is mounted at a place.
func (s *stage) numberOf(point string) string {
	s.t.Helper()
	list, err := control.NewClient(control.SocketPath(s.state)).Volumes(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := findVolume(list.Volumes, point)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(v.Info.ID)
}

// TestWatchRefuses goes through what it does not take.
func TestWatchRefuses(t *testing.T) {
	s := newStage(t)
	s.mirror()
	for command, why := range map[string]string{
		"watch --op fly":               "there is no such operation; there are create",
		"watch --op=":                  "--op: it is empty",
		"watch --op ,":                 "it names no operation",
		"watch --op access":            "access changes nothing, and is not observed; add --reads",
		"watch --pid 0":                "no number of a process",
		"watch --pid x":                "read the command line: x is no value for --pid, which is of type int; see weir watch --help",
		"coverage --json=x":            "x is no value for --json, which is of type bool",
		"detach x":                     "the arguments are FILTER VOLUME .INSTANCE., and not so many; see weir detach",
		"coverage x":                   "there are no arguments, only flags; see weir coverage --help",
		"watch --comm=":                "--comm: it is empty",
		"watch 9999":                   "no volume has this number, mount point, device or label",
		"watch nolabel":                "no volume has this number",
		"watch " + s.source + "/no":    "no such file or directory; watch what is there",
		"watch /proc":                  "nothing can be observed there",
		"watch / /":                    "the arguments are .PATH.VOLUME., and not so many; see weir watch --help",
		"watch --socket /nothing/here": "ask the weir at",
	} {
		asked(t, 2, command, why)
	}
	for typed, want := range map[string]string{
		"watch --op c": "create\nclose\n:6\n", "watch --op create,d": "create,delete\n:6\n", "watch ": ":0\n",
	} {
		if _, out, _ := weirRun(append([]string{"__complete"}, strings.Split(typed, " ")...)...); out != want {
			t.Errorf("weir %s<TAB> offers %q, want %q", typed, out, want)
		}
	}
	eventually(t, 10*time.Second, func() error { // What was refused has not left the filter behind.
		if out := asked(t, 0, "filters"); !strings.Contains(out, "not loaded: activity") {
			return errors.New(out)
		}
		return nil
	})
}
