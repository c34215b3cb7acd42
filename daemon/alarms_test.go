package daemon

import (
	"bytes"
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

	"github.com/weirfs/weir/policy"
)

// TestNoFalseAlarms changes names as fast as it can, in several places at once: what comes of that is nobody's fault,
// and nothing that needs to be told.
func TestNoFalseAlarms(t *testing.T) {
	for _, pair := range [][2]string{{"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			s := newScene(t, pair[0], pair[1], false)
			var told syncLines
			s.o.Logger = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelWarn}))
			var err error
			if s.o.Brake, err = policy.ParseBrake("off"); err != nil {
				t.Fatal(err)
			}
			s.begin()
			var wg sync.WaitGroup
			until := time.Now().Add(4 * time.Second)
			for n := range 3 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), 1))
					for time.Now().Before(until) {
						churn(s.src, r)
					}
				})
			}
			wg.Wait()
			s.alike()
			s.end()
			if lines := told.list(); len(lines) > 0 {
				t.Errorf("%d alarms:\n%s", len(lines), strings.Join(lines[:min(len(lines), 10)], "\n"))
			}
		})
	}
}

// churn performs one operation on a small tree. Errors are part of it.
func churn(top string, r *rand.Rand) {
	path := func() string {
		p := top
		for range 1 + r.IntN(4) {
			p = filepath.Join(p, string(rune('a'+r.IntN(4))))
		}
		return p
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		_ = os.MkdirAll(path(), 0o755)
	case 3, 4:
		_ = os.WriteFile(path(), []byte(fmt.Sprint(r.Uint64())), 0o644)
	case 5, 6:
		_ = os.Rename(path(), path())
	case 7:
		_ = unix.Renameat2(unix.AT_FDCWD, path(), unix.AT_FDCWD, path(), unix.RENAME_EXCHANGE)
	case 8:
		_ = os.RemoveAll(path())
	case 9:
		_ = os.Link(path(), path())
	}
}

// syncLines keeps every line of a log.
type syncLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *syncLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(bytes.TrimSpace(p)))
	return len(p), nil
}

func (l *syncLines) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}
