package daemon

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// victim names the variable that makes this test binary a mirror that is going to be killed.
const victim = "WEIR_TEST_VICTIM"

// TestVictim is no test: it is the mirror that TestKilled starts and kills.
func TestVictim(t *testing.T) {
	what := strings.Split(os.Getenv(victim), "\n")
	if len(what) != 3 {
		t.Skip("only TestKilled starts it")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	m, err := Open(context.Background(), Options{Source: what[0], Targets: []string{what[1]}, State: what[2], Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("open\n")
	t.Error(m.Run(context.Background(), false))
}

// killSoon starts a mirror and kills it after that time.
func killSoon(t *testing.T, o Options, log *os.File, after time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, "-test.run=^TestVictim$")
	command.Env = append(os.Environ(), victim+"="+strings.Join([]string{o.Source, o.Targets[0], o.State}, "\n"))
	command.Stderr = log
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); line != "open\n" {
		rest, _ := io.ReadAll(in)
		t.Errorf("the mirror did not start: %s%s %v", line, rest, err)
	}
	time.Sleep(after)
	_ = command.Process.Kill()
	_ = command.Wait()
}

// shuffler changes names, directories and their types in few places, so that everything meets everything.
type shuffler struct {
	root string
	*rand.Rand
}

func (s shuffler) path() string {
	p := s.root
	for range []int{1, 1, 2, 2, 3}[s.IntN(5)] {
		p = filepath.Join(p, []string{"a", "b", "f", "g"}[s.IntN(4)])
	}
	return p
}

// step does one thing, which may fail.
func (s shuffler) step() {
	x, y := s.path(), s.path()
	switch n := s.IntN(15); n {
	case 0:
		_ = os.WriteFile(x, []byte(y)[:s.IntN(len(y))], 0o644)
	case 1, 2, 3:
		_ = os.Mkdir(x, 0o755)
	case 4, 5:
		_ = os.Rename(x, y)
	case 6, 7, 8, 9:
		_ = unix.Renameat2(unix.AT_FDCWD, x, unix.AT_FDCWD, y, unix.RENAME_EXCHANGE)
	case 10:
		_ = unix.Unlink(x)
	case 11:
		if s.IntN(3) == 0 {
			_ = os.RemoveAll(x)
		}
	case 12:
		_ = os.Symlink(strings.TrimPrefix(y, s.root), x)
	case 13:
		_ = unix.Linkat(unix.AT_FDCWD, x, unix.AT_FDCWD, y, 0)
	case 14:
		_ = os.Lchown(x, s.IntN(9), 0)
	}
}

// run goes on until stop is closed.
func (s shuffler) run(stop, done chan struct{}) {
	defer close(done)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if s.step(); n%10 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// TestKilled kills a mirror at any moment while directories, links and files change places. The next one finds all
// that its predecessor has moved: nothing is set aside, nothing is left over, and it comes to rest.
func TestKilled(t *testing.T) {
	voltest.RequireRoot(t)
	for _, pair := range [][2]string{{"tmpfs", "tmpfs"}, {"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "ext4"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			src, dst := mkdir(t, filepath.Join(voltest.New(t, pair[0]).Dir, "s")), voltest.New(t, pair[1]).Dir
			seed := rand.Uint64()
			o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")}
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			random := rand.New(rand.NewPCG(seed, 1))
			stop, done := make(chan struct{}), make(chan struct{})
			go shuffler{src, rand.New(rand.NewPCG(seed, 2))}.run(stop, done)
			for range 1 + random.IntN(6) {
				killSoon(t, o, log, time.Duration(random.IntN(250))*time.Millisecond)
			}
			close(stop)
			<-done
			r := start(t, o)
			r.spotless(src, dst)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(log.Name())
			if err != nil {
				t.Fatal(err)
			}
			if all := string(text) + r.log.Output.String(); strings.Contains(all, "set aside") || strings.Contains(all, "not replicated") {
				t.Error("in a log something is set aside, or not replicated, that is weir's own, or passes")
			}
			if t.Failed() {
				t.Logf("the log of those that were killed:\n%s", text)
			}
		})
	}
}
