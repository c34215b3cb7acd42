package daemon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

const (
	burstDirs  = 200
	burstFiles = 100 // in each
)

// makeTree writes the files of a burst.
func makeTree(b *testing.B, dir string) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 256)
	for d := range burstDirs {
		sub := filepath.Join(dir, fmt.Sprintf("d%03d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range burstFiles {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%03d", f)), text, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBurst writes 20,000 files of 4 KiB into a followed tree, and takes the time from the last close
// until all of them are durable on the replica, against cp -a and sync -f of the same tree.
func BenchmarkBurst(b *testing.B) {
	voltest.RequireRoot(b)
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		b.Run(fs, func(b *testing.B) {
			var weir, cp time.Duration
			for range b.N {
				src := voltest.New(b, fs, voltest.Size(1<<30))
				dst := voltest.New(b, fs, voltest.Size(1<<30))
				rival := voltest.New(b, fs, voltest.Size(1<<30))
				r := start(b, Options{Source: src.Dir, Targets: []string{dst.Dir}, State: filepath.Join(b.TempDir(), "st")})
				r.quiet(10 * time.Second)
				makeTree(b, src.Dir)
				closed := time.Now()
				r.quiet(time.Minute)
				weir += time.Since(closed)
				if err := r.stop(); err != nil {
					b.Fatal(err)
				}
				begun := time.Now()
				if out, err := exec.Command("cp", "-a", src.Dir+"/.", rival.Dir).CombinedOutput(); err != nil {
					b.Fatalf("cp: %v %s", err, out)
				}
				if out, err := exec.Command("sync", "-f", rival.Dir).CombinedOutput(); err != nil {
					b.Fatalf("sync: %v %s", err, out)
				}
				cp += time.Since(begun)
				for _, v := range []*voltest.Volume{src, dst, rival} {
					v.Unmount()
				}
			}
			n := time.Duration(b.N)
			b.ReportMetric(float64((weir / n).Milliseconds()), "ms-weir")
			b.ReportMetric(float64((cp / n).Milliseconds()), "ms-cp")
			b.ReportMetric(float64(weir)/float64(cp), "x-of-cp")
		})
	}
}
