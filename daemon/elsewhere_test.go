package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestNestedVolumeThatStaysElsewhere unmounts a nested volume that another mount namespace shows still, as a container
// does which was started meanwhile: for the mirror it is absent. What the container changes is found when it is back.
func TestNestedVolumeThatStaysElsewhere(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
		nested := voltest.New(t, "ext4", voltest.At(filepath.Join(src, "in")))
		write(t, filepath.Join(nested.Dir, "one"), "1")
		r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback})
		r.awaitText(filepath.Join(dst, "in/one"), "1")
		n := voltest.NewNamespace(t, "true")
		for round := range 3 {
			r.awaitPhase(nested.Dir, replicate.PhaseInSync)
			nested.Unmount()
			r.awaitPhase(nested.Dir, replicate.PhaseSourceAbsent)
			n.Do("rm -f " + nested.Dir + "/one; echo -n there > " + nested.Dir + "/two")
			still(t, "the replica stays", func() bool { return !absent(filepath.Join(dst, "in/one")) || round > 0 })
			nested.Mount()
			r.awaitText(filepath.Join(dst, "in/two"), "there")
			if err := os.Remove(filepath.Join(nested.Dir, "two")); err != nil {
				t.Fatal(err)
			}
			r.equal(src, dst)
		}
		nested.Unmount()
		n.End()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}
