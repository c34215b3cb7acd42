package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
			if e.Path == "<unnamed file>" { // Of the last name of a file some tell that its count of names has changed.
				continue
			}
			key := e.Process + ": " + e.Path
			if e.To != "" {
				key += " to " + e.To
			}
			if sets[key] == "" {
				order = append(order, key)
			}
			for op := range strings.SplitSeq(e.Ops.String(), "|") {
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

// does has a process of its own do something, whose name is sh, and which stays until it has been seen.
func does(t *testing.T, script string) (pid int) {
	t.Helper()
	c := exec.Command("sh", "-c", script+"\nsleep 0.3")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	return c.Process.Pid
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
			pid := does(t, fmt.Sprintf("cd %s; : > d/a; : > 'new\nline'; : >> d/a", d))
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
