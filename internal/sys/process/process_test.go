package process

import (
	"os/exec"
	"strconv"
	"testing"
	"time"
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
