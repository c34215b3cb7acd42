package tree

import (
	"os"
	"testing"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

// root opens a directory for the length of a test, and finds descriptors that the test leaves open.
func root(t testing.TB, path string) *Dir {
	t.Helper()
	before := fd.Open()
	d, err := OpenPath(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		if leaked := fd.Open() - before; leaked > 0 {
			t.Errorf("%d descriptors are still open", leaked)
		}
	})
	return d
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got returns a value or fails the test.
func got[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		must(t, err)
		return value
	}
}

// shell runs a script in dir.
func shell(t testing.TB, dir, script string) {
	t.Helper()
	out, err := command(dir, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
