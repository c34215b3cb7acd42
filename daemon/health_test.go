package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/ledger"
)

// TestFullStateIsAFault has volumes come and go while the disk of the state directory is full. Nothing of that is lost when
// weir is killed after there was room again.
func TestFullStateIsAFault(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	state := voltest.New(t, "tmpfs", voltest.Size(4<<20))
	s.o.State = filepath.Join(state.Dir, "st")
	s.begin()
	write(t, s.in("a"), "1")
	s.alike()
	troubles := controlled{s.m.manager, s.m}.Troubles
	if list := troubles(); len(list) > 0 {
		t.Errorf("troubles are %q", list)
	}
	empty := fill(t, state.Dir)
	for range 60 { // more records than the last block of the file has room for
		voltest.New(t, "tmpfs", voltest.At(s.in("v"))).Unmount()
	}
	written := 0
	s.await("faults", func() bool {
		for range 100 { // until there is no room in the index's file either
			write(t, s.in(name("b", written)), "2")
			written++
		}
		list := troubles()
		return slices.ContainsFunc(list, func(text string) bool { return strings.HasPrefix(text, "the ledger cannot be written, ") }) &&
			slices.ContainsFunc(list, func(text string) bool { return strings.HasPrefix(text, "the index cannot be written, ") })
	})
	told := func(text string) bool { return strings.Contains(s.log.String(), text) }
	s.await("the log says it", func() bool { return told("the ledger cannot be written; ") })
	empty()
	s.within(10*time.Second, "no fault", func() bool { return len(troubles()) == 0 && told("the ledger is written again") })
	s.awaitText(s.at(name("b", written-1)), "2")
	if n := strings.Count(s.log.String(), "the ledger "); n != 2 {
		t.Errorf("%d lines about the ledger", n)
	}

	now, copied := s.m.ledger.Gaps(), t.TempDir() // as a kill leaves it
	data, err := os.ReadFile(s.m.ledger.Path())
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "ledger"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if kept := l.Gaps(); l.Damaged() > 0 || len(kept) < len(now) {
		t.Errorf("%d of %d gaps are kept, %d records damaged", len(kept), len(now), l.Damaged())
	}
	s.end()
}
