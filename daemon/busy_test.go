package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
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
	busy := mkdir(t, filepath.Join(src, "busy"))
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 0; !stop.Load() && err == nil; n++ {
			err = os.WriteFile(filepath.Join(busy, fmt.Sprint(n%50)), fmt.Append(nil, n), 0o644)
		}
		done <- err
	}()
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.await("the comparison of the whole source", func() bool {
		units := r.m.Status().Units
		return len(units) == 1 && !units[0].Compared.IsZero()
	})
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.equal(src, dst)
	r.awaitPhase(src, replicate.PhaseInSync)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
