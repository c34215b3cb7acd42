package probe

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

func TestEveryProbeAnswersAndLeavesNothing(t *testing.T) {
	before := fd.Open()
	names := map[string]bool{}
	for _, r := range All() {
		if r.Name == "" || r.What == "" || r.Without == "" || names[r.Name] || !r.Works && r.Detail == "" {
			t.Errorf("result %+v", r)
		}
		names[r.Name] = true
		if again := Try(r.Name); again.Works != r.Works {
			t.Errorf("%s works: %v, then %v", r.Name, r.Works, again.Works)
		}
	}
	if fd.Open() != before {
		t.Errorf("%d descriptors are left open", fd.Open()-before)
	}
	if r := Try("nonsense"); r.Works || r.Detail == "" {
		t.Errorf("an unknown probe: %+v", r)
	}
}

func TestNeededFeaturesWorkForRoot(t *testing.T) {
	voltest.RequireRoot(t)
	for _, r := range Missing(All()) {
		t.Errorf("%s: %s", r.Name, r.Detail)
	}
}

func TestCheckRelease(t *testing.T) {
	for release, ok := range map[string]bool{
		"6.1.0-13-amd64": true, "6.18.44": true, "7.0": true, "6.0.9": false, "5.15.0-generic": false, "plan9": false,
	} {
		if err := checkRelease(release); (err == nil) != ok {
			t.Errorf("%s: %v", release, err)
		}
	}
}

// TestMarksOnARealVolume takes and refuses what the kernel takes and refuses.
func TestMarksOnARealVolume(t *testing.T) {
	voltest.RequireRoot(t)
	marks, err := NewMarks()
	if err != nil {
		t.Fatal(err)
	}
	defer marks.Close()
	open := func(path string) *fd.FD {
		n, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		file := fd.New(n)
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	if err := marks.Try(open(voltest.New(t, "ext4").Dir)); err != nil {
		t.Error(err)
	}
	if err := marks.Try(open("/proc")); err == nil {
		t.Error("proc takes a mark")
	}
}
