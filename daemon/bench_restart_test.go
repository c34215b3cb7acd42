package daemon

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// BenchmarkRestart starts on a replica of 200,000 files that is equal already, and takes the time until that is
// known. Nothing may be read but metadata.
func BenchmarkRestart(b *testing.B) {
	voltest.RequireRoot(b)
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		b.Run(fs, func(b *testing.B) {
			const trees = 10 // of a burst each
			src := voltest.New(b, fs, voltest.Size(5<<30))
			dst := voltest.New(b, fs, voltest.Size(5<<30))
			for i := range trees {
				makeTree(b, filepath.Join(src.Dir, fmt.Sprint("tree", i)))
			}
			options := Options{Source: src.Dir, Targets: []string{dst.Dir}, State: filepath.Join(b.TempDir(), "st")}
			r := start(b, options)
			r.quiet(5 * time.Minute)
			if err := r.stop(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				r := start(b, options)
				r.quiet(time.Minute)
				if s := r.m.Status(); s.Read != 0 {
					b.Errorf("read %d bytes", s.Read)
				}
				if err := r.stop(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(trees*burstDirs*(burstFiles+1)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
