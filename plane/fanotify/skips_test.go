package fanotify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	sys "github.com/weirfs/weir/internal/sys/fanotify"
	"github.com/weirfs/weir/plane/planetest"
)

// masks returns what the superblock of a volume is marked for by this process.
func masks(t testing.TB, v *real) (masks []uint64) {
	t.Helper()
	sdev := fmt.Sprintf("fanotify sdev:%x ", unix.Major(v.dev)<<20|unix.Minor(v.dev))
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	for _, path := range infos {
		text, _ := os.ReadFile(path) // Others come and go.
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, sdev); ok {
				var flags, mask uint64
				_, err := fmt.Sscanf(rest, "mflags:%x mask:%x", &flags, &mask)
				must(t, err)
				masks = append(masks, mask&^unix.FAN_EVENT_ON_CHILD) // which the kernel adds
			}
		}
	}
	return masks
}

// TestDirectoriesCostNothingThatNobodyNeeds looks at what the kernel was asked for.
func TestDirectoriesCostNothingThatNobodyNeeds(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{Groups: 1})
	v := newReal(t, i, "ext4")
	marked := func(want uint64) {
		t.Helper()
		if got := masks(t, v); len(got) != 1 || got[0] != want {
			t.Errorf("the volume is marked for %x, want %x", got, want)
		}
	}
	files := weir.Demand{Ops: weir.OpCreate | weir.OpDelete, Skips: weir.SkipDirs}
	s := planetest.NewSink()
	a, err := p.Attach(t.Context(), v, files, s)
	must(t, err)
	marked(sys.Create | sys.Delete)
	must(t, v.Mkdir("unseen"), v.Create("unseen/a"))
	s.Wait(t, "a file", named("a"))
	if len(s.Operations()) != 1 {
		t.Errorf("told %+v", s.Operations())
	}
	b, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.OpRename}, planetest.NewSink())
	must(t, err)
	marked(sys.Create | sys.Delete | sys.Rename | sys.OnDir)
	must(t, b.Want(t.Context(), weir.Demand{Ops: weir.OpRename, Skips: weir.SkipDirs | weir.SkipOwn}))
	marked(sys.Create | sys.Delete | sys.Rename)
	must(t, a.Want(t.Context(), weir.Demand{Ops: weir.OpCreate}))
	marked(sys.Create | sys.Rename | sys.OnDir)
	must(t, a.Want(t.Context(), weir.Demand{}), b.Want(t.Context(), weir.Demand{}))
	if got := masks(t, v); len(got) != 0 {
		t.Errorf("the volume is marked for %x, and nobody wants anything", got)
	}
}

// TestNothingIsLostWhileDirectoriesComeAndGo has somebody need directories, and not, while files and directories are made.
func TestNothingIsLostWhileDirectoriesComeAndGo(t *testing.T) {
	i, p := new(ids), newPlane(t, Options{})
	v := newReal(t, i, "tmpfs")
	s := planetest.NewSink()
	files := weir.Demand{Ops: weir.OpCreate, Skips: weir.SkipDirs}
	_, err := p.Attach(t.Context(), v, files, s)
	must(t, err)
	const n = 2000
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for k := range n {
			must(t, v.Mkdir(fmt.Sprint("d", k)), v.Create(fmt.Sprint("d", k, "/f", k)))
		}
	})
	both, attachment := planetest.NewSink(), weir.Attachment(nil)
	attachment, err = p.Attach(t.Context(), v, files, both)
	must(t, err)
	for turns := 0; ; turns++ {
		need := files
		if turns%2 == 0 {
			need.Skips = 0
		}
		must(t, attachment.Want(t.Context(), need))
		if need.Skips == 0 { // From here on directories have to be told.
			must(t, v.Mkdir(fmt.Sprint("own", turns)))
			both.Wait(t, "a directory", named(fmt.Sprint("own", turns)))
		}
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	writing.Wait()
	s.Wait(t, "the last file", named(fmt.Sprint("f", n-1)))
	seen := map[string]int{}
	for _, op := range s.Operations() {
		seen[op.Name]++
	}
	for k := range n {
		if name := fmt.Sprint("f", k); seen[name] != 1 {
			t.Errorf("%s was told %d times", name, seen[name])
		}
	}
}
