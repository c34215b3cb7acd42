package daemon

import (
	"os"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// TestExcludedSinceItWasCopied excludes a directory that the replica has. Whatever becomes of it on the source, with and
// without weir, it stays as it was, with all below it, until a directory above it goes.
func TestExcludedSinceItWasCopied(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	for _, dir := range []string{"kept", "gone", "p"} {
		populate(t, mkdir(t, s.in(dir+"/x")), 2, 3)
	}
	s.begin()
	s.alike()
	s.end()
	was := mkdir(t, t.TempDir()+"/was")
	if err := runTool("cp", "-a", s.dst+"/.", was); err != nil {
		t.Fatal(err)
	}

	rules, err := policy.ParseRules([]string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	s.o.Rules = rules
	remove(t, s.in("kept/x/d000/f000"))
	write(t, s.in("kept/x/d000/new"), "1")
	s.begin()
	s.quiet(10 * time.Second)
	remove(t, s.in("kept/x/d000/f001"))
	remove(t, s.in("kept/x/d001"))
	rename(t, s.in("kept/x/d000"), s.in("kept/x/moved"))
	remove(t, s.in("gone/x"))
	remove(t, s.in("p"))
	s.await("what was above it is gone", func() bool { _, err := os.Lstat(s.at("p")); return err != nil })
	s.end()
	s.begin()
	s.quiet(10 * time.Second)
	for _, dir := range []string{"/kept/x", "/gone/x"} {
		if found, err := comparer.Compare(was+dir, s.dst+dir, comparer.Options{}); err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v\n%s", dir, found, err, s.log)
		}
	}
	s.end()
}
