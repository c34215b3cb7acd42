package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

// TestRefusalLeavesNoState has a target refused, which happens after the state directory was made.
func TestRefusalLeavesNoState(t *testing.T) {
	voltest.RequireRoot(t)
	dir, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dst, "theirs"), "x")
	there := mkdir(t, filepath.Join(dir, "there"))
	if err := os.Chmod(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{filepath.Join(dir, "new/below/state"), there} {
		_, err := Open(t.Context(), Options{Source: t.TempDir(), Targets: []string{dst}, State: state})
		if weir.KindOf(err) != weir.KindRefused {
			t.Fatalf("it is not refused: %v", err)
		}
	}
	if !absent(filepath.Join(dir, "new")) {
		t.Error("a directory was made and stays")
	}
	if left, err := os.ReadDir(there); err != nil || len(left) > 0 {
		t.Errorf("in the directory that was there stays %v (%v)", left, err)
	}
}

// TestRefusalKeepsOldState has another target refused by a mirror that has run before.
func TestRefusalKeepsOldState(t *testing.T) {
	voltest.RequireRoot(t)
	o := Options{Source: t.TempDir(), Targets: []string{filepath.Join(t.TempDir(), "replica")}, State: filepath.Join(t.TempDir(), "state")}
	write(t, filepath.Join(o.Source, "f"), "1")
	r := start(t, o)
	r.equal(o.Source, o.Targets[0])
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	more := o
	more.Targets = append(more.Targets, t.TempDir())
	write(t, filepath.Join(more.Targets[1], "theirs"), "x")
	if _, err := Open(t.Context(), more); weir.KindOf(err) != weir.KindRefused {
		t.Fatalf("it is not refused: %v", err)
	}
	if absent(filepath.Join(o.State, indexDir)) {
		t.Error("the index was thrown away")
	}
	r = start(t, o)
	r.equal(o.Source, o.Targets[0])
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestRefusalKeepsWhatOthersHaveMade has one mirror use a directory and end, while others come to be refused: what they
// find when they have the lock is not theirs, whatever they have found before.
func TestRefusalKeepsWhatOthersHaveMade(t *testing.T) {
	for round := range 300 {
		dir := filepath.Join(t.TempDir(), "state")
		var all sync.WaitGroup
		var made atomic.Bool
		for range 6 {
			all.Go(func() {
				for !made.Load() {
					if l, err := takeLock(dir, 1); err == nil {
						if err := errors.Join(l.discard(), l.release()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		for !made.Load() {
			l, err := takeLock(dir, 2)
			if err != nil {
				continue
			}
			write(t, filepath.Join(dir, "made"), "1")
			if err := l.release(); err != nil {
				t.Error(err)
			}
			made.Store(true)
		}
		all.Wait()
		if absent(filepath.Join(dir, "made")) {
			t.Fatalf("in round %d it was thrown away", round)
		}
	}
}

// TestRefusedDirectoryIsNotLeft has room for the directories that lead to the state, and for nothing in them.
func TestRefusedDirectoryIsNotLeft(t *testing.T) {
	top := voltest.New(t, "tmpfs", voltest.Data("nr_inodes=4")).Dir
	if _, err := takeLock(filepath.Join(top, "a/b/c"), 1); weir.KindOf(err) != weir.KindRefused {
		t.Errorf("%v, want a refusal", err)
	}
	if !absent(filepath.Join(top, "a")) {
		t.Error("what was made stays")
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	_, dry := lookAtState(file)
	if _, err := takeLock(file, 1); weir.KindOf(err) != weir.KindRefused || dry == nil || err.Error() != dry.Error() {
		t.Errorf("a file is refused with %v, and by a dry run with %v", err, dry)
	}
}

// TestStateWithPipe has a named pipe where a file of the state directory is expected, at which whoever opens it waits.
func TestStateWithPipe(t *testing.T) {
	voltest.RequireRoot(t)
	for _, name := range []string{"ledger", "ledger.new", "lock", engineFile, engineFile + ".new", "index/engine/pipe"} {
		o := Options{Source: t.TempDir(), Targets: []string{filepath.Join(t.TempDir(), "replica")}, State: filepath.Join(t.TempDir(), "state")}
		pipe := filepath.Join(o.State, name)
		mkdir(t, filepath.Dir(pipe))
		if err := errors.Join(os.Chmod(o.State, 0o700), unix.Mkfifo(pipe, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), o); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), name+" in it is a named pipe") {
			t.Errorf("with %s as a named pipe: %v", name, err)
		}
		if absent(pipe) || !absent(o.Targets[0]) {
			t.Errorf("a refusal has removed %s, or left something on the target", name)
		}
	}
}

// TestStateAmongOthersFiles names a directory for the state in which somebody keeps something: it is left as it is. One that
// weir has used already is its own, whatever else has come into it.
func TestStateAmongOthersFiles(t *testing.T) {
	voltest.RequireRoot(t)
	o := Options{Source: t.TempDir(), Targets: []string{t.TempDir()}, State: mkdir(t, filepath.Join(t.TempDir(), "theirs"))}
	if err := os.Chmod(o.State, 0o700); err != nil {
		t.Fatal(err)
	}
	letter := filepath.Join(o.State, "letter")
	write(t, letter, "x")
	_, err := Open(t.Context(), o)
	if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), o.State+": it holds data that weir did not make, such as letter") {
		t.Errorf("it is not refused: %v", err)
	}
	if _, dry := DryRun(t.Context(), o, nil); dry == nil || err == nil || dry.Error() != err.Error() {
		t.Errorf("a dry run says %v", dry)
	}
	if left, err := os.ReadDir(o.State); err != nil || len(left) != 1 {
		t.Errorf("it holds %v afterwards (%v)", left, err)
	}
	remove(t, letter)
	for range 2 {
		if err := start(t, o).stop(); err != nil {
			t.Fatal(err)
		}
		write(t, letter, "x")
	}
}
