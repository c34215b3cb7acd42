package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/internal/voltest"
)

// asked runs a command in this process, and wants its exit status and words in what it prints.
func asked(t *testing.T, status int, command string, words ...string) string {
	t.Helper()
	got, out, errs := weirRun(strings.Fields(command)...)
	if got != status {
		t.Errorf("weir %s: exit status %d, want %d\n%s%s", command, got, status, out, errs)
	}
	if status == 2 && (out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, ";")) {
		t.Errorf("weir %s: a refusal is one line with thing, reason and what to do\n%s%s", command, out, errs)
	}
	for _, word := range words {
		if !regexp.MustCompile(word).MatchString(out + errs) {
			t.Errorf("weir %s does not say %q\n%s%s", command, word, out, errs)
		}
	}
	return out
}

// TestRunningMirrorIsAsked goes through every command, as its user would.
func TestRunningMirrorIsAsked(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	none := "no weir is running; start weir mirror"
	for _, command := range []string{"filters", "instances", "frames", "coverage", "explain /", "attach a 1", "detach a 1", "load a", "unload a"} {
		asked(t, 2, command, none)
	}
	asked(t, 0, "volumes", "MOUNTED AT")
	p := s.mirror()

	asked(t, 0, "filters", `replicate +1 +309999 +Replication +0\n`, `\nepoch \d+\n`)
	asked(t, 0, "filters --stats", `TOLD +WITHIN`, `replicate +1 +309999 +Replication +0 +\d+ +\S+s +0 +0 +0 +0s +0s\n`)
	asked(t, 0, "frames", `0 +0 +- +replicate +.*1 attached`)
	asked(t, 0, "instances", `replicate +\d+ +309999 +replicate +0 +attached +`+source.Dir)
	asked(t, 0, "instances --all", `replicate +\d+ +309999 +replicate +0 +declined +`, `replicate declined: the volume shows no part of `)
	asked(t, 0, "instances -f replicate -v "+source.Dir, `attached`)
	asked(t, 2, "instances -f nothing", "no filter of this name is loaded")
	asked(t, 2, "instances -v /nothing", "no volume has this number, mount point, device or label")
	asked(t, 0, "coverage", `ext4 +attached +`+source.Dir, "everything that should be covered is", "pseudo file systems are left out")
	asked(t, 0, "coverage --all", `proc +declined`)
	s.write("known")
	asked(t, 0, "explain "+source.Dir+"/known", "would be seen", "observed by fanotify", `1\. +replicate +altitude 309999 +frame 0 +attached`, "not seen there")
	asked(t, 1, "explain /proc/self", "would NOT be seen: replicate has no business there")
	asked(t, 1, "explain /nothing/here", "there is no such path")

	id := number(t, source.Dir)
	if out := asked(t, 0, "volumes", `\nepoch`); !strings.Contains(out, "\n"+id+" ") {
		t.Errorf("weir volumes does not show %s\n%s", id, out)
	}
	asked(t, 0, "volumes --json", `^{"epoch":\d+,"complete":true,"out_of_sight":\[.*\],"volumes":\[{"id":.*"leaving":false}`)
	asked(t, 2, "attach replicate "+id, "is attached already")
	asked(t, 2, "attach replicate /", "the filter declines: the volume shows no part of")
	asked(t, 2, "attach nothing "+id, "attach nothing: no filter of this name")
	asked(t, 2, "detach nothing "+id, "weir: detach nothing: no filter of this name")
	asked(t, 2, "detach replicate "+id+" nothing", "no such instance")
	asked(t, 0, "detach replicate "+source.Dir, "instance replicate is detached from volume "+id)
	asked(t, 2, "detach replicate "+source.Dir, "weir: detach: filter replicate on volume "+id+" is detached already, by root; weir attach undoes that")
	asked(t, 1, "coverage", `detached +`+source.Dir, "NOT COVERED:\n .*replicate is detached: by root")
	asked(t, 1, "explain "+source.Dir, "replicate is detached: by root")
	s.write("meanwhile")
	asked(t, 0, "attach replicate "+id, "instance replicate is attached to volume "+id)
	s.arrives("meanwhile", s.good)
	eventually(t, 10*time.Second, func() error { return exits(0, "coverage") })
	asked(t, 0, "coverage", `1 +replicate +`+id+` .*detached by hand +comparison of /`)

	asked(t, 2, "load replicate", "it is loaded already")
	asked(t, 2, "load nothing", "it has replicate")
	asked(t, 2, "unload nothing", "no filter of this name")
	asked(t, 2, "unload replicate", "replicas would stand still until it is loaded again: to end them, end weir mirror; ")
	asked(t, 0, "unload replicate --force", "filter replicate is unloaded")
	asked(t, 1, "explain "+source.Dir, "no filter is loaded")
	eventually(t, 10*time.Second, func() error { // A gap is in the ledger a moment after what has opened it.
		if _, out, _ := weirRun("coverage"); !strings.Contains(out, "gap 2 of filter") {
			return fmt.Errorf("there is no gap yet: %s", out)
		}
		return nil
	})
	asked(t, 1, "coverage", "NOT COVERED:\n  filter replicate is not loaded\n  volume "+id+" .*gap 2 of filter replicate is open: the filter was unloaded by force, by root, process \\d+ \\(.*\\), and had refused: replicas would stand still")
	asked(t, 0, "filters", "not loaded: replicate")
	s.write("unseen")
	asked(t, 0, "load replicate", "filter replicate is loaded at altitude 309999, in frame 0")
	s.arrives("unseen", s.good)
	s.write("told")
	s.arrives("told", s.good)
	asked(t, 0, "filters --stats", `\nSLOWEST +CALL +TOOK +VOLUME +OPERATION +ENTRY +BEGAN\nreplicate +Completed +\S+s +`+id+` +(create|modify|close)\S*( \(\d+\))? +\S+ +\d{4}-`)

	for _, command := range []string{"filters", "frames", "instances", "coverage", "explain /", "volumes", "attach replicate /", "unload nothing"} {
		if _, out, _ := weirRun(append(strings.Fields(command), "--json")...); out != "" && !json.Valid([]byte(out)) {
			t.Errorf("weir %s --json prints %s", command, out)
		}
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
	asked(t, 2, "filters", none)
	asked(t, 2, "filters --socket "+control.SocketPath(s.state), "ask the weir at .*: (no such file|connection refused)")
}

// TestLayersAreExplained has overlays in the source, over a volume that is not, and a command in another mount namespace.
func TestLayersAreExplained(t *testing.T) {
	s := newStage(t)
	below := voltest.New(t, "ext4").Dir
	inner := filepath.Join(s.source, "inner")
	voltest.Overlay(t, false, inner+"/l", inner+"/u", inner+"/w", inner+"/merged")
	for name, nfsExport := range map[string]bool{"marked": true, "blind": false} {
		dir := filepath.Join(below, name)
		voltest.Overlay(t, nfsExport, filepath.Join(dir, "l"), filepath.Join(dir, "u"), filepath.Join(dir, "w"), filepath.Join(s.source, name))
	}
	s.mirror()
	layer := "a layer at altitude 139998.99"
	reaches := below + `, ext4 on /dev/loop\d+\): what reaches it from volume \d+`
	asked(t, 0, "explain "+s.source+"/marked", layer, `frame 0: observed by fanotify`, `1\. +replicate +altitude 309999 +frame 0 +attached`, reaches)
	text := asked(t, 1, "explain "+s.source+"/blind", "NOT be seen: replicate is scan only: ", layer, `frame 0: unsupported\n`, `frame 0 +scan only\n`, reaches)
	if _, why, _ := strings.Cut(text, "replicate is scan only: "); strings.Count(text, strings.SplitN(why, "\n", 2)[0]) != 1 || strings.Contains(text, "attach fanotify") {
		t.Errorf("the reason is not told once:\n%s", text)
	}
	asked(t, 0, "coverage", "overlay +attached", "overlay +scan only", "replicate scan only: ")
	asked(t, 0, "instances", `replicate +\d+ +309999 +replicate +0 +scan only +`+s.source+"/blind")
	asked(t, 0, "filters", `replicate +4 +309999 +Replication +0 +2 scan only\n`)
	asked(t, 0, "explain "+inner+"/merged", "would be seen only on volumes below, if it reaches them: replicate is scan only: ")

	elsewhere := weirCommand("explain", "/")
	elsewhere.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := elsewhere.CombinedOutput()
	if status := elsewhere.ProcessState.ExitCode(); status != 2 || !strings.Contains(string(out), "in another mount namespace, where the path may mean something else; ask there: nsenter") {
		t.Errorf("in another namespace: %d, %s%v", status, out, err)
	}
}

// number returns the number of the volume that is mounted at a place.
func number(t *testing.T, point string) string {
	t.Helper()
	var list control.Instances
	out := asked(t, 0, "instances --all --json -v "+point)
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Instances) != 1 {
		t.Fatal(err, out)
	}
	return fmt.Sprint(list.Instances[0].Volume)
}

func exits(status int, command string) error {
	if got, out, errs := weirRun(strings.Fields(command)...); got != status {
		return fmt.Errorf("weir %s: exit status %d\n%s%s", command, got, out, errs)
	}
	return nil
}

// TestOneOfSeveralIsChosen runs two.
func TestOneOfSeveralIsChosen(t *testing.T) {
	one, other := newStage(t), newStage(t)
	first, second := one.mirror(), other.mirror()
	asked(t, 2, "filters", "there are several: ", control.SocketPath(one.state), control.SocketPath(other.state), "choose one with --socket")
	asked(t, 0, "filters --socket "+control.SocketPath(other.state), "replicate")
	asked(t, 2, "filters --socket=", "--socket: it is empty")
	for _, p := range []*weirProcess{first, second} {
		p.signal(unix.SIGINT)
		p.ends(0, 10*time.Second)
	}
}

// TestOthersMayNotAsk is nobody, who finds that root's weir runs.
func TestOthersMayNotAsk(t *testing.T) {
	s := newStage(t)
	s.mirror()
	for _, args := range [][]string{{"filters"}, {"unload", "replicate"}, {"filters", "--socket", control.SocketPath(s.state)}} {
		status, errs, err := asNobody(t, args...)
		if err != nil || status != 2 || !strings.Contains(errs, "ask as root") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, %s%v", args, status, errs, err)
		}
	}
	status, errs, err := asNobody(t, "volumes")
	if err != nil || status != 0 || !strings.Contains(errs, "of this command alone: find the running weir: one is announced that this user may not ask") {
		t.Errorf("volumes: status %d, %s%v", status, errs, err)
	}
}

// TestSocketSurvivesWhatProcessesLeave kills a weir, and has another hang in the kernel with its socket open.
func TestSocketSurvivesWhatProcessesLeave(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	if err := unix.Kill(p.cmd.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done
	eventually(t, 10*time.Second, func() error { return exits(2, "filters") })
	if _, err := os.Lstat(control.SocketPath(s.state)); err != nil {
		t.Errorf("a process that is killed removes its socket: %v", err)
	}
	p = s.mirror()
	asked(t, 0, "filters", "replicate")

	engine := s.engine()
	thaw := voltest.Freeze(t, filepath.Dir(s.frozen))
	defer thaw()
	s.write("stuck")
	s.arrives("stuck", s.good)
	if err := unix.Kill(p.cmd.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done
	next := startWeir(t, s.args()...)
	next.says("a former process of this mirror hangs", 1)
	eventually(t, 10*time.Second, func() error { return exits(0, "filters") })
	status := new(control.Status)
	if err := control.NewClient(control.SocketPath(s.state)).Get(t.Context(), "/v1/status", nil, status); err != nil || status.PID == engine {
		t.Errorf("%+v answers, %v; the process that hangs is %d", status, err, engine)
	}
	thaw()
	next.says("the former process has ended", 1)
	asked(t, 0, "filters", "replicate")
	next.signal(unix.SIGINT)
	next.ends(0, 10*time.Second)
}

// TestEveryRequestingCommandIsDocumented looks for each in docs/control.md.
func TestEveryRequestingCommandIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if c.Flags().Lookup("socket") != nil && !strings.Contains(string(text), "`weir "+c.Name()) {
			t.Errorf("docs/control.md does not tell of weir %s", c.Name())
		}
	}
}

// TestDocumentedRequests runs the examples of docs/control.md.
func TestDocumentedRequests(t *testing.T) {
	voltest.RequireTool(t, "curl", "curl")
	text, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	s.mirror()
	examples := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(string(text), -1)
	if len(examples) < 5 {
		t.Errorf("found %q", examples)
	}
	for _, example := range examples {
		shell := exec.Command("sh", "-c", example)
		shell.Env = append(os.Environ(), "SOCKET="+control.SocketPath(s.state))
		out, err := shell.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		if err != nil || !json.Valid(out) {
			t.Errorf("%s\n%s%v", example, out, err)
		}
	}
}

func TestCompletionAsksTheRunningWeir(t *testing.T) {
	s := newStage(t)
	s.mirror()
	for typed, want := range map[string]string{
		"attach ": "replicate\n:4\n", "detach r": "replicate\n:4\n", "load ": "activity\n:4\n", "instances -f ": "replicate\n:4\n",
		"attach replicate " + filepath.Dir(s.good): filepath.Dir(s.good) + "\n:4\n", "filters ": ":4\n", "explain ": ":0\n",
	} {
		if _, out, _ := weirRun(append([]string{"__complete"}, strings.Split(typed, " ")...)...); out != want {
			t.Errorf("weir %s<TAB> offers %q, want %q", typed, out, want)
		}
	}
}
