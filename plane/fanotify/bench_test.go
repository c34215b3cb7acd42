package fanotify

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

// timed is a sink that says when it was called.
type timed struct {
	at    chan time.Time
	count atomic.Int64
}

func (s *timed) Deliver(ops []weir.Operation) {
	s.count.Add(int64(len(ops)))
	select {
	case s.at <- time.Now():
	default:
	}
}
func (s *timed) Lost(string) {}

// BenchmarkLatency measures from the return of a write to an idle volume, less the call itself, to
// Deliver: p50-us and p99-us.
func BenchmarkLatency(b *testing.B) {
	for _, fs := range []string{"ext4", "tmpfs"} {
		b.Run(fs, func(b *testing.B) {
			v, p := newReal(b, new(ids), fs), newPlane(b, Options{})
			must(b, v.Create("f"))
			file, err := os.OpenFile(v.path("f"), os.O_WRONLY, 0)
			must(b, err)
			defer file.Close()
			s := &timed{at: make(chan time.Time, 1)}
			_, err = p.Attach(b.Context(), v, weir.Demand{Ops: weir.Changes}, s)
			must(b, err)
			var took []time.Duration
			for b.Loop() {
				time.Sleep(10 * time.Millisecond) // idle again
				began := time.Now()
				_, err := file.WriteAt([]byte("x"), 0)
				must(b, err)
				took = append(took, (<-s.at).Sub(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkWriter measures what a change costs its writer: a file is made, written, closed and removed,
// with and without the plane. events/op says how many operations were delivered.
func BenchmarkWriter(b *testing.B) {
	for _, fs := range []string{"ext4", "tmpfs"} {
		for _, observed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/observed=%v", fs, observed), func(b *testing.B) {
				v, p := newReal(b, new(ids), fs, voltest.Size(256<<20)), newPlane(b, Options{})
				s := &timed{at: make(chan time.Time, 1)}
				if observed {
					_, err := p.Attach(b.Context(), v, weir.Demand{Ops: weir.Changes}, s)
					must(b, err)
				}
				content := make([]byte, 4096)
				k := 0
				for b.Loop() {
					name := v.path(fmt.Sprint("f", k%1000))
					k++
					must(b, os.WriteFile(name, content, 0o644))
					if k%1000 == 0 {
						for j := range 1000 {
							must(b, os.Remove(v.path(fmt.Sprint("f", j))))
						}
					}
				}
				b.ReportMetric(float64(s.count.Load())/float64(b.N), "events/op")
			})
		}
	}
}

// BenchmarkAttach measures attaching to a volume (attach-us) and detaching from it.
func BenchmarkAttach(b *testing.B) {
	for _, fs := range []string{"tmpfs", "btrfs"} {
		b.Run(fs, func(b *testing.B) {
			v, p := newReal(b, new(ids), fs), newPlane(b, Options{})
			var attaching time.Duration
			for b.Loop() {
				began := time.Now()
				a, err := p.Attach(b.Context(), v, weir.Demand{Ops: weir.Changes}, &timed{})
				attaching += time.Since(began)
				must(b, err, a.Detach())
			}
			b.ReportMetric(float64(attaching.Microseconds())/float64(b.N), "attach-us")
		})
	}
}

// BenchmarkDecode measures events per second from a full queue: a volume whose reader was held up.
func BenchmarkDecode(b *testing.B) {
	v, p := newReal(b, new(ids), "tmpfs"), newPlane(b, Options{})
	const events = 16000
	total := time.Duration(0)
	for b.Loop() {
		s := &gated{inside: make(chan struct{}), goOn: make(chan struct{}), all: make(chan struct{})}
		a, err := p.Attach(b.Context(), v, weir.Demand{Ops: weir.Changes}, s)
		must(b, err, v.Create("first"))
		<-s.inside
		for k := range events {
			must(b, v.Mkdir(fmt.Sprint(k)))
		}
		began := time.Now()
		close(s.goOn)
		<-s.all
		total += time.Since(began)
		must(b, a.Detach(), v.Remove("first"))
		for k := range events {
			must(b, v.Remove(fmt.Sprint(k)))
		}
	}
	b.ReportMetric(float64(events*b.N)/total.Seconds(), "events/s")
}

// gated is a sink that waits in its first call, and says when all events have come.
type gated struct {
	inside, goOn, all chan struct{}
	count             int
}

func (g *gated) Deliver(ops []weir.Operation) {
	if g.count == 0 {
		close(g.inside)
		<-g.goOn
	}
	before := g.count
	if g.count += len(ops); before < 16000 && g.count >= 16000 {
		close(g.all)
	}
}
func (g *gated) Lost(string) {}
