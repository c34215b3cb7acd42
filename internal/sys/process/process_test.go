package process

import (
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStateFollowsAProcessToItsEnd(t *testing.T) {
	self, err := Self()
	if err != nil || self.State() != Running {
		t.Fatalf("this process is %v (%v), want running", self.State(), err)
	}
	child := exec.Command("sleep", "100")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	s, err := readStat("/proc/" + strconv.Itoa(child.Process.Pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	id := Identity{PID: child.Process.Pid, Start: s.start, Boot: self.Boot}
	if id.State() != Running {
		t.Errorf("the child is %v, want running", id.State())
	}
	other := id
	other.Start++
	if other.State() != Gone {
		t.Error("another process with the same id is taken for it")
	}
	other = id
	other.Boot = "of another boot"
	if other.State() != Gone {
		t.Error("a process of another boot is taken for one of this")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); id.State() != Gone; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a killed process that nobody has waited for is %v, want gone", id.State())
		}
	}
	_ = child.Wait()
}

// TestNormalEndsIdleInEveryThread starts threads that are idle, and has all of them be normal.
func TestNormalEndsIdleInEveryThread(t *testing.T) {
	class := func() uintptr {
		class, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioThread, 0, 0)
		if errno != 0 {
			t.Error(errno)
		}
		return class
	}
	const threads = 4
	ready, normal, done := make(chan bool, threads), make(chan bool), make(chan bool, threads)
	for range threads {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if err := Idle(); err != nil {
				t.Error(err)
			}
			ready <- class() == ioIdle
			<-normal
			done <- class() != ioIdle
		}()
	}
	for range threads {
		if !<-ready {
			t.Error("a thread is not idle")
		}
	}
	if err := Normal(); err != nil {
		t.Fatal(err)
	}
	close(normal)
	for range threads {
		if !<-done {
			t.Error("a thread is still idle")
		}
	}
}

func TestNameIsWhatAProcessCallsItself(t *testing.T) {
	child := exec.Command("sleep", "100")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if got := Name(child.Process.Pid); got != "sleep" {
		t.Errorf("the child is called %q", got)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // It was killed.
	if got := Name(child.Process.Pid); got != "" {
		t.Errorf("who has gone is called %q", got)
	}
}
