package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestKB975759NoVolumeIsMissed is the defect that weir exists for: a program replicates data among volumes, a
// volume is mounted while the filter is being attached, the volume is missed, and its changes are never
// replicated. Here volumes are mounted in a tight loop before, while and after the filter starts, several
// times over; each gets a file in the microsecond after mount(2) has returned, and another one later. All
// must be on the replica.
func TestKB975759NoVolumeIsMissed(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		for round := range 3 {
			t.Run(fmt.Sprint("round ", round), func(t *testing.T) { missVolumes(t, fallback) })
		}
	})
}

const stormVolumes = 40

func missVolumes(t *testing.T, fallback bool) {
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
	points := make([]string, stormVolumes)
	for i := range points {
		points[i] = mkdir(t, filepath.Join(src, fmt.Sprintf("dir%d/volume%d", i%7, i)))
	}
	mounted := make(chan error, 1)
	var done []string
	t.Cleanup(func() {
		for _, at := range done {
			if err := syscall.Unmount(at, 0); err != nil {
				t.Errorf("unmount %s: %v", at, err)
			}
		}
	})
	go func() {
		for i, at := range points {
			if err := syscall.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
				mounted <- err
				return
			}
			if err := os.WriteFile(filepath.Join(at, "first"), fmt.Append(nil, "written at once on ", i), 0o644); err != nil {
				mounted <- err
				return
			}
			done = append(done, at)
			time.Sleep(time.Duration(i%4) * time.Millisecond)
		}
		mounted <- nil
	}()
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback})
	if err := <-mounted; err != nil {
		t.Fatal(err)
	}
	for i := range points {
		r.awaitText(filepath.Join(dst, fmt.Sprintf("dir%d/volume%d/first", i%7, i)), fmt.Sprint("written at once on ", i))
	}
	for i, at := range points {
		write(t, filepath.Join(at, "second"), fmt.Sprint("written later on ", i))
	}
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
