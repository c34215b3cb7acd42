package procmaps

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/handle"
	"github.com/weirfs/weir/internal/sys/mount"
)

// TestMain runs the tests, or, asked so by one of them, maps a file and ends the first thread.
func TestMain(m *testing.M) {
	if path := os.Getenv("WEIR_TEST_MAP"); path != "" {
		mapAndEndFirstThread(path)
	}
	os.Exit(m.Run())
}

func mapAndEndFirstThread(path string) {
	for range 100 {
		go endIfFirst(path)
	}
	time.Sleep(time.Minute)
	os.Exit(3)
}

// endIfFirst goes on only on the first thread: the others stay taken, so that one goroutine gets it.
func endIfFirst(path string) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		time.Sleep(time.Hour)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		os.Exit(4)
	}
	if _, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		os.Exit(5)
	}
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
}

func TestParseLine(t *testing.T) {
	fe := mount.MakeDevice(0xfe, 0)
	for _, test := range []struct {
		line string
		want Mapping
		ok   bool
	}{
		{"7f5db2019000-7f5db201d000 rw-s 00000000 fe:00 613                        /run/a file", Mapping{Start: 0x7f5db2019000, End: 0x7f5db201d000, Device: fe}, true},
		{"7f5db2019000-7f5db201d000 -w-s 00000000 fe:00 613 /x (deleted)", Mapping{Start: 0x7f5db2019000, End: 0x7f5db201d000, Device: fe}, true},
		{"1000-2000 rwxs 00000000 fe:00 613", Mapping{Start: 0x1000, End: 0x2000, Device: fe}, true},
		{"1000-2000 r--s 00000000 fe:00 613 /a", Mapping{}, false},
		{"1000-2000 rw-p 00000000 fe:00 613 /a", Mapping{}, false},
		{"1000-2000 rw-s 00000000 00:00 0 ", Mapping{}, false},
		{"2000-1000 rw-s 00000000 fe:00 613 /a", Mapping{}, false},
		{"1000-2000 rw-s 00000000 fe00 613 /a", Mapping{}, false},
		{"1000-2000 rw-s 00000000 fe:00 6f3 /a", Mapping{}, false},
		{"1000-10000000000000000 rw-s 00000000 fe:00 613 /a", Mapping{}, false},
		{"1000 rw-s 00000000 fe:00 613 /a", Mapping{}, false},
		{"", Mapping{}, false},
	} {
		if got, ok := parseLine([]byte(test.line)); ok != test.ok || ok && got != test.want {
			t.Errorf("%q: got %+v, %v", test.line, got, ok)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("7f5db2019000-7f5db201d000 rw-s 00000000 fe:00 613   /run/a file"))
	f.Add([]byte("1000-2000 rw-s 0 1:"))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, wanted := parseLine(line)
		if wanted && (m.Start >= m.End || !strings.Contains(string(line), "s ")) {
			t.Errorf("%q became %+v", line, m)
		}
	})
}

// handles returns the handles of all that is mapped, and by which task.
func handles(t *testing.T, text bool) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := shared(func(m Mapping) error {
		if h, err := m.Handle(); err == nil {
			found[h] = m.Task
		}
		return nil
	}, text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestShared(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	path := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(path, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := handle.OfPath(path)
	if err != nil {
		t.Skip("no handles here:", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct {
		prot, flags int
		listed      bool
	}{
		{unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED, true},
		{unix.PROT_READ, unix.MAP_SHARED, false},
		{unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE, false},
	} {
		data, err := unix.Mmap(int(f.Fd()), 0, 8192, test.prot, test.flags)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []bool{false, true} {
			if _, listed := handles(t, text)[want]; listed != test.listed {
				t.Errorf("prot %d, flags %d, text %v: listed %v", test.prot, test.flags, text, listed)
			}
		}
		if err := unix.Munmap(data); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("stop")
	data, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(data)
	for _, text := range []bool{false, true} {
		if err := shared(func(Mapping) error { return stop }, text); err != stop {
			t.Errorf("text %v: %v", text, err)
		}
	}
}

// TestFirstThreadEnded finds what a process maps whose first thread has ended.
func TestFirstThreadEnded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	path := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := handle.OfPath(path)
	if err != nil {
		t.Skip("no handles here:", err)
	}
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), "WEIR_TEST_MAP="+path)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	deadline := time.Now().Add(5 * time.Second)
	for text := false; ; text = !text {
		task := handles(t, text)[want]
		if task != "" && task != strconv.Itoa(child.Process.Pid) {
			if text {
				return
			}
			continue
		}
		if time.Now().After(deadline) {
			t.Fatalf("found in task %q", task)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func BenchmarkShared(b *testing.B) {
	for _, text := range []bool{false, true} {
		b.Run(map[bool]string{false: "query", true: "text"}[text], func(b *testing.B) {
			for b.Loop() {
				if err := shared(func(Mapping) error { return nil }, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
