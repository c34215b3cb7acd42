package manager_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
)

// A ledger that cannot be written is told of once, and is written when that is possible again, though nothing else is recorded.
func TestLedgerIsWrittenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	check(t, os.Mkdir(dir, 0o700))
	book, err := ledger.Open(dir)
	check(t, err)
	defer book.Close()
	simulateWith(t, one(nil), func(o *manager.Options) { o.Ledger = book }, func(t *testing.T, b *bench) {
		said := func(when, want string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			var lines []string
			for line := range strings.Lines(b.logged.take()) {
				if strings.Contains(line, "the ledger ") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 || !strings.Contains(lines[0], want) {
				t.Errorf("%s, logged %q, want %q", when, lines, want)
			}
		}
		check(t, os.Remove(filepath.Join(dir, "ledger")))
		check(t, os.Remove(dir))
		for range 2 { // The first is more than the file may have before it is written anew.
			_, err := book.OpenGap(weir.VolumeInfo{}, "f", time.Now(), strings.Repeat("much ", 300_000))
			check(t, err)
		}
		said("without its directory", `level=ERROR msg="the ledger cannot be written; that is tried again"`)
		check(t, os.Mkdir(dir, 0o700))
		said("with it", `level=INFO msg="the ledger is written again"`)
		if data, err := os.ReadFile(book.Path()); err != nil || strings.Count(string(data), `"kind":"gap"`) != 2 {
			t.Errorf("the file has %d bytes, error %v", len(data), err)
		}
	})
}
