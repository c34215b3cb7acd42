package daemon

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// TestNoFalseAlarms changes names as fast as it can, in several places at once: what comes of that is nobody's fault,
// and nothing that needs to be told.
func TestNoFalseAlarms(t *testing.T) {
	for _, pair := range [][2]string{{"btrfs", "tmpfs"}, {"tmpfs", "ext4"}, {"ext4", "xfs"}, {"xfs", "btrfs"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			s := newScene(t, pair[0], pair[1], false)
			var told voltest.Output
			var err error
			s.o.Logger = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelWarn}))
			if s.o.Brake, err = policy.ParseBrake("off"); err != nil {
				t.Fatal(err)
			}
			s.begin()
			for round := range 2 {
				churnFor(s.src, 2*time.Second, round)
				s.alike()
				s.end()
				s.begin()
			}
			s.alike()
			s.end()
			if lines := slices.Collect(strings.Lines(told.String())); len(lines) > 0 {
				t.Errorf("%d alarms:\n%s", len(lines), strings.Join(lines[:min(len(lines), 10)], ""))
			}
		})
	}
}

// churnFor has several threads change a small tree.
func churnFor(top string, long time.Duration, seed int) {
	var wg sync.WaitGroup
	until := time.Now().Add(long)
	for n := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), uint64(seed)))
			for time.Now().Before(until) {
				if churn(top, r); r.IntN(40) == 0 {
					time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// churn performs one operation on a small tree. Errors are part of it.
func churn(top string, r *rand.Rand) {
	path := func() string {
		p := top
		for range 1 + r.IntN(4) {
			p = filepath.Join(p, string(rune('a'+r.IntN(5))))
		}
		return p
	}
	one, two, third := path(), path(), filepath.Join(top, fmt.Sprint("third", r.IntN(3)))
	switch r.IntN(16) {
	case 0, 1, 2:
		_ = os.MkdirAll(one, 0o755)
	case 3, 4:
		_ = os.WriteFile(one, []byte(fmt.Sprint(r.Uint64())), 0o644)
	case 5, 6:
		_ = os.Rename(one, two)
	case 7:
		_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, two, unix.RENAME_EXCHANGE)
	case 8:
		_ = os.RemoveAll(one)
	case 9, 10:
		_ = os.Link(one, two)
	case 11:
		_ = os.Chmod(one, os.FileMode(r.IntN(0o777)))
	case 12:
		if os.WriteFile(third, []byte(fmt.Sprint(r.Uint64())), 0o644) == nil {
			_ = os.Rename(third, one)
		}
	case 13:
		_ = os.Symlink("x", one)
	case 14:
		_ = os.Truncate(one, int64(r.IntN(100_000)))
	case 15: // A swap, or a parent into its child.
		_, _, _ = os.Rename(one, third), os.Rename(two, one), os.Rename(third, two)
		_, _ = os.Rename(two, third), os.Rename(filepath.Dir(two), filepath.Join(third, "d"))
	}
}
