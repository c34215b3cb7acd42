package volume

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

// arrivals sends the time at which each volume arrives.
type arrivals struct {
	record
	when chan time.Time
}

func (a *arrivals) Arrived(v weir.Volume, listed bool) {
	if !listed {
		a.when <- time.Now()
	}
}

// BenchmarkArrival measures from before mount(2) to Arrived, and how long it is after mount(2) returned.
func BenchmarkArrival(b *testing.B) {
	for name, options := range map[string]Options{"events": {}, "fallback": {Fallback: true}} {
		b.Run(name, func(b *testing.B) {
			voltest.RequireRoot(b)
			a := &arrivals{record: record{states: map[weir.VolumeID]string{}}, when: make(chan time.Time, 1)}
			w := New(options)
			go func() { _ = w.Run(b.Context(), a) }()
			time.Sleep(20 * time.Millisecond)
			dir := b.TempDir()
			var after []time.Duration
			for b.Loop() {
				if err := unix.Mount("bench", dir, "tmpfs", 0, ""); err != nil {
					b.Fatal(err)
				}
				returned := time.Now()
				after = append(after, (<-a.when).Sub(returned))
				if err := unix.Unmount(dir, 0); err != nil {
					b.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			slices.Sort(after)
			b.ReportMetric(float64(after[len(after)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(after[len(after)*99/100].Microseconds()), "µs-p99")
		})
	}
}

// watched returns a volume that a watcher follows, and where it is mounted. What is measured begins then.
func watched(b *testing.B, options Options) (v weir.Volume, dir string) {
	b.Helper()
	d := voltest.New(b, "ext4")
	w := New(options)
	go func() {
		_ = w.Run(b.Context(), &record{states: map[weir.VolumeID]string{}, away: map[weir.VolumeID]bool{}})
	}()
	time.Sleep(20 * time.Millisecond)
	v, err := w.At(d.Dir)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	return v, d.Dir
}

func BenchmarkBorrow(b *testing.B) {
	for name, options := range map[string]Options{"events": {}, "fallback": {Fallback: true}} {
		b.Run(name, func(b *testing.B) {
			v, dir := watched(b, options)
			for b.Loop() {
				lease, err := v.Borrow(b.Context(), dir)
				if err != nil {
					b.Fatal(err)
				}
				_ = lease.Close()
			}
		})
	}
}

func BenchmarkInfo(b *testing.B) {
	for name, options := range map[string]Options{"events": {}, "fallback": {Fallback: true}} {
		b.Run(name, func(b *testing.B) {
			v, _ := watched(b, options)
			for b.Loop() {
				_ = v.Info()
			}
		})
	}
}
