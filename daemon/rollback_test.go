package daemon

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestRestartWhileARolledBackTargetIsCompared gives the target the number of an older state, and files of which only the
// content tells. That all of it has to be compared is not forgotten when weir is stopped in the middle, although
// a barrier has passed since.
func TestRestartWhileARolledBackTargetIsCompared(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	const good, bad = "as it was copied:", "as it never was: "
	mkdir(t, s.in("d"))
	write(t, s.in("d/small"), good)
	write(t, s.in("large"), good+string(bytes.Repeat([]byte("large "), 2<<20)))
	for n := range 6 {
		write(t, s.in("d/"+name("slow", n)), string(bytes.Repeat([]byte("slow "), 1<<20)))
	}
	time.Sleep(50 * time.Millisecond) // Then nothing is compared for the age of its time stamps.
	s.begin()
	s.alike()
	s.end()

	write(t, s.at(".weir/generation"), "00000000000000000000\n")
	rewrite(t, s.to, good, bad)
	write(t, s.in("new"), "what is shown has a barrier pass")
	s.o.Bandwidth = 1 << 20
	begun := time.Now()
	s.begin()
	s.await("a barrier has passed", func() bool {
		u := s.unit(s.src, s.dst)
		return u.Phase != replicate.PhaseInSync && u.Durable.After(begun) && text(t, s.at(".weir/generation")) != "00000000000000000000\n"
	})
	_ = s.stop() // It is behind.
	if log := s.log.String(); strings.Count(log, "the target is older than the index") != 1 {
		t.Errorf("that it is compared for that is told otherwise than once:\n%s", log)
	}
	for _, path := range []string{s.at("d/small"), s.at("large")} {
		if got := text(t, path); got[:len(bad)] != bad {
			t.Fatalf("%s has been compared already", path)
		}
	}

	s.o.Bandwidth = 0
	s.begin()
	s.alike()
	s.end()

	// It is owed no longer.
	rewrite(t, s.to, good, bad)
	s.begin()
	s.quiet(10 * time.Second)
	if got := text(t, s.at("d/small")); got != bad {
		t.Error("content was compared once more")
	}
	s.end()
}
