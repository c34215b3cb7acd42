package daemon

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// TestReadersSeeWholeVersions rewrites a file in place, and makes others, while somebody reads the replica: each version
// that he sees is one that was whole.
func TestReadersSeeWholeVersions(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, poll bool) {
		s := newScene(t, "ext4", "ext4", poll)
		const size, parts = 300_000, 3
		version := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, size) }
		write(t, s.in("q"), string(version(0)))
		s.begin()
		s.alike()
		longest := time.Duration(0)
		rewrite := func(path string, n int) {
			begun := time.Now()
			f, err := os.Create(path)
			if err != nil {
				t.Error(err)
				return
			}
			for range parts {
				if _, err := f.Write(version(n)[:size/parts]); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Millisecond)
			}
			f.Close()
			longest = max(longest, time.Since(begun))
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range 60 {
				rewrite(s.in("q"), n+1)
				rewrite(s.in(name("new", n)), n+1)
				s.awaitText(s.at("q"), string(version(n+1)))
				s.awaitText(s.at(name("new", n)), string(version(n+1)))
			}
		}()
		torn, reads := 0, 0
		whole := func(path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				return // It is not there yet.
			}
			reads++
			if len(data) != size || len(bytes.Trim(data, string(data[:1]))) != 0 {
				torn++
				t.Logf("%s: %d bytes, version %d", path, len(data), data[:min(1, len(data))])
			}
		}
		for n := 0; ; n++ {
			whole(s.at("q"))
			whole(s.at(name("new", n%60)))
			select {
			case <-done:
				if torn > 0 && longest < replicateBeginning { // What is open for longer is copied as it is.
					t.Errorf("%d of %d reads saw no whole version; no file was open for longer than %v", torn, reads, longest)
				}
				s.alike()
				s.end()
				return
			default:
			}
		}
	})
}

// replicateBeginning is how long a file is waited for that is being written.
const replicateBeginning = 500 * time.Millisecond

// TestFileThatIsAlwaysBeingWrittenIsShown has somebody write a new file again and again, and never close it.
func TestFileThatIsAlwaysBeingWrittenIsShown(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	s.begin()
	s.alike()
	f, err := os.Create(s.in("f"))
	ok(t, err)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		block := bytes.Repeat([]byte("x"), 4<<10)
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- f.Close()
				return
			default:
			}
			if _, err := f.WriteAt(block, int64(n%100*len(block))); err != nil {
				t.Error(err)
			}
		}
	}()
	s.await("it is shown", func() bool { return !absent(s.at("f")) })
	close(stop)
	ok(t, <-stopped)
	s.alike()
	s.end()
}
