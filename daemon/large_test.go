package daemon

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestReplacedFasterThanItIsCopied replaces a large file by rename more often than it can be copied. A reader finds
// complete versions, and the file is left in peace between two copies.
func TestReplacedFasterThanItIsCopied(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	const size = 10 << 20
	s.o.Bandwidth = 20 << 20
	version := 0
	replace := func() {
		version++
		write(t, filepath.Join(s.from.Dir, "next"), string(bytes.Repeat([]byte{byte(version)}, size)))
		rename(t, filepath.Join(s.from.Dir, "next"), s.in("large"))
		time.Sleep(50 * time.Millisecond)
	}
	shown := func() byte {
		got, err := os.ReadFile(s.at("large"))
		if os.IsNotExist(err) {
			return 0
		}
		if err != nil || !bytes.Equal(got, bytes.Repeat(got[:1], size)) {
			t.Fatalf("neither an old nor a new version: %d bytes, %v", len(got), err)
		}
		return got[0]
	}
	s.begin()
	s.within(5*time.Second, "a version", func() bool { replace(); return shown() > 0 })
	before := s.m.Status().Read
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); shown() {
		replace()
	}
	if read := s.m.Status().Read - before; read > size {
		t.Errorf("read %d bytes of a file of %d in 3 s of rest", read, size)
	}
	s.await("the last version", func() bool { return shown() == byte(version) })
	write(t, s.in("other"), fmt.Sprint(version))
	s.awaitText(s.at("other"), fmt.Sprint(version))
	s.spotless(s.src, s.dst)
	s.end()
}
