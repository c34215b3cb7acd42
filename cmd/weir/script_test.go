package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestScripts runs testdata/script, where each file is one page of what a user meets. Beside testscript's own
// commands there are:
//
//	weir STATUS ARGS...     runs weir and wants that exit status; with 2, one line that says what to do
//	nobody STATUS ARGS...   is weir without any rights
//	volume TYPE DIR [ro]    makes a volume and mounts it
//	bind FROM TO            shows a directory at another place
//	immutable DIR           chattr +i until the script ends
//	remember NAME DIR...    notes everything that can be seen of trees
//	unchanged NAME DIR...   compares it with what they are now
//	jsonlines FILE          wants one JSON object in each line
func TestScripts(t *testing.T) {
	voltest.RequireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			bin := filepath.Join(env.WorkDir, ".bin")
			env.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			env.Setenv(asWeirEnv, "1")
			env.Values[remembered{}] = make(map[string]string)
			return errors.Join(os.Mkdir(bin, 0o755), os.Symlink(self, filepath.Join(bin, "weir")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"weir": scriptWeir, "bind": scriptBind, "immutable": scriptImmutable, "remember": scriptRemember,
			"unchanged": scriptUnchanged, "nobody": func(ts *testscript.TestScript, _ bool, args []string) { scriptNobody(t, ts, args) }, "jsonlines": scriptJSONLines,
			"volume": func(ts *testscript.TestScript, _ bool, args []string) { scriptVolume(t, ts, args) },
		},
	})
}

// remembered is the key of a script's notes.
type remembered struct{}

func scriptWeir(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	status := 0
	var exit *exec.ExitError
	if err := ts.Exec("weir", args[1:]...); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run weir: %v", err)
	}
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
	if told := ts.ReadFile("stderr"); want == 2 && (!strings.HasPrefix(told, "weir: ") || strings.Count(told, "\n") != 1 || !strings.Contains(told, ";")) {
		ts.Fatalf("a refusal is one line with thing, reason and what to do")
	}
}

func scriptNobody(t *testing.T, ts *testscript.TestScript, args []string) {
	status, errs, err := asNobody(t, args[1:]...)
	ts.Check(err)
	if strconv.Itoa(status) != args[0] || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, ";") {
		ts.Fatalf("status %d: %s", status, errs)
	}
	ts.Logf("%s", errs)
}

// asNobody runs weir as another user, from a place that this user can reach.
func asNobody(t *testing.T, args ...string) (status int, stderr string, err error) {
	dir, err := os.MkdirTemp("/tmp", "weir-nobody-")
	if err != nil {
		return 0, "", err
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return 0, "", err
	}
	defer self.Close()
	program := filepath.Join(dir, "weir")
	copied, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return 0, "", err
	}
	_, err = copied.ReadFrom(self)
	if err := errors.Join(err, copied.Close(), os.Chmod(dir, 0o755)); err != nil {
		return 0, "", err
	}
	const nobody = 65534
	var errs strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = "/", []string{asWeirEnv + "=1"}, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	_ = cmd.Run() // The status says it.
	return cmd.ProcessState.ExitCode(), errs.String(), nil
}

func scriptVolume(t *testing.T, ts *testscript.TestScript, args []string) {
	dir := ts.MkAbs(args[1])
	v := voltest.New(t, args[0], voltest.At(dir))
	if len(args) > 2 {
		v.Remount(unix.MS_RDONLY, "")
	}
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func scriptBind(ts *testscript.TestScript, _ bool, args []string) {
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(to, 0o755))
	ts.Check(unix.Mount(from, to, "", unix.MS_BIND, ""))
	ts.Defer(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

func scriptImmutable(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(exec.Command("chattr", "+i", dir).Run())
	ts.Defer(func() { _ = exec.Command("chattr", "-i", dir).Run() })
}

func scriptRemember(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(remembered{}).(map[string]string)[args[0]] = everything(ts, args[1:])
}

func scriptUnchanged(ts *testscript.TestScript, _ bool, args []string) {
	before, now := ts.Value(remembered{}).(map[string]string)[args[0]], everything(ts, args[1:])
	if before != now {
		ts.Fatalf("changed:\n%s\nto:\n%s", before, now)
	}
}

func scriptJSONLines(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%s: %v", line, err)
		}
	}
}

// everything is what can be seen of trees: names, attributes and times, and content. A tree that does not
// exist is told as that.
func everything(ts *testscript.TestScript, dirs []string) string {
	var lines []string
	for _, dir := range dirs {
		err := filepath.WalkDir(ts.MkAbs(dir), func(path string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				lines = append(lines, path+": not there")
				return nil
			}
			if err != nil {
				return err
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			s := info.Sys().(*syscall.Stat_t)
			line := fmt.Sprintf("%s: %d %o %d:%d %d links, %d bytes, %v %v", path, s.Ino, s.Mode, s.Uid, s.Gid, s.Nlink, s.Size, s.Mtim, s.Ctim)
			if info.Mode().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %x", sha256.Sum256(data))
			}
			lines = append(lines, line)
			return nil
		})
		ts.Check(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
