package voltest

import (
	"os/exec"
	"strconv"
	"testing"
)

// Namespace is another mount namespace, which one process keeps. It begins with private copies of all mounts.
type Namespace struct {
	t    testing.TB
	keep *exec.Cmd
}

// NewNamespace makes a mount namespace, and carries out a command of the shell in it.
func NewNamespace(t testing.TB, command string) *Namespace {
	t.Helper()
	RequireRoot(t)
	RequireTool(t, "unshare", "util-linux")
	ready := "echo ready; exec sleep infinity"
	keep := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-e", "-c", command+"\n"+ready)
	out, err := keep.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	output := new(Output)
	keep.Stderr = output
	if err := keep.Start(); err != nil {
		t.Fatal(err)
	}
	n := &Namespace{t, keep}
	t.Cleanup(n.End)
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("a mount namespace with %q: %v: %s", command, err, output)
	}
	return n
}

// PID is the process that keeps the namespace.
func (n *Namespace) PID() int { return n.keep.Process.Pid }

// Do carries out a command of the shell in the namespace.
func (n *Namespace) Do(command string) {
	n.t.Helper()
	run(n.t, "nsenter", "-m", "-t", strconv.Itoa(n.PID()), "--", "sh", "-e", "-c", command)
}

// End ends the process, and with it the namespace, unless something else keeps that. It may be called twice.
func (n *Namespace) End() {
	_ = n.keep.Process.Kill()
	_ = n.keep.Wait()
}
