package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// TestBusySourceDoesNotKeepTheFirstCopyFromEnding writes without a pause while a tree is copied: events never
// cease, and yet the walk has to come to its end.
func TestBusySourceDoesNotKeepTheFirstCopyFromEnding(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	for d := range 40 {
		sub := mkdir(t, filepath.Join(src, fmt.Sprint("d", d)))
		for f := range 100 {
			write(t, filepath.Join(sub, fmt.Sprint("f", f)), "text")
		}
	}
	rest := writeWithoutPause(t, mkdir(t, filepath.Join(src, "busy")))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.await("the comparison of the whole source", func() bool {
		units := r.m.Status().Units
		return len(units) == 1 && !units[0].Compared.IsZero()
	})
	rest()
	r.equal(src, dst)
	r.awaitPhase(src, replicate.PhaseInSync)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// writeWithoutPause writes and replaces files in a directory until it is told to rest.
func writeWithoutPause(t *testing.T, dir string) (rest func()) {
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 0; !stop.Load() && err == nil; n++ {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprint(n%50)), fmt.Append(nil, n), 0o644)
		}
		done <- err
	}()
	return func() {
		t.Helper()
		if stop.Store(true); <-done != nil {
			t.Error("the writer has failed")
		}
	}
}

// TestOneRunOfABusySourceEnds has one run meet a source that never rests: what was there when it had been compared is on
// the replica, and what comes later is left for the next.
func TestOneRunOfABusySourceEnds(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	populate(t, s.src, 10, 50)
	rest := writeWithoutPause(t, mkdir(t, s.in("busy")))
	m, err := Open(t.Context(), s.o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := m.Run(ctx, true); err != nil || ctx.Err() != nil {
		t.Errorf("one run ends with %v, and its time with %v\n%+v", err, ctx.Err(), m.Status())
	}
	rest()
	busy, err := os.ReadDir(s.in("busy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range busy {
		if absent(s.at("busy/" + file.Name())) {
			t.Errorf("%s is not on the replica", file.Name())
		}
	}
	remove(t, s.in("busy"))
	remove(t, s.at("busy"))
	if found, err := comparer.Compare(s.src, s.dst, comparer.Options{}); err != nil || len(found) > 1 { // The root's times.
		t.Errorf("what did not change differs: %v %v", found, err)
	}
}
