package vmtest

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestOldKernel runs weir where mount events, unique mount ids, statmount and fine time stamps are missing.
func TestOldKernel(t *testing.T) {
	g := newGuest(t)
	g.archive.program(weirFile, goBuild(t, "cmd/weir"))
	commands := []command{
		{"doctor", []string{weirFile, "doctor"}, 20 * time.Second},
		{"volumes", []string{weirFile, "volumes", "--all"}, 20 * time.Second},
		{"mirror", []string{"/init", "-test.v", "-test.run=TestMirror", "-test.timeout=260s"}, 270 * time.Second},
	}
	limit := 300 * time.Second // On two idle cores it takes a minute.
	if packages := strings.Fields(os.Getenv("WEIR_VM_PACKAGES")); len(packages) > 0 {
		commands, limit = packageTests(t, g, packages)
	}
	out := g.run(t, limit, commands...)
	for _, c := range commands {
		if !strings.Contains(out, ended+"0 "+c.Name+"\n") {
			t.Errorf("%s failed on the old kernel", c.Name)
		}
	}
	if !strings.Contains(out, allEnded) {
		t.Error("the machine ended before its tests")
	}
}

// packageTests puts the tests of other packages into the machine.
func packageTests(t *testing.T, g *guest, packages []string) (commands []command, limit time.Duration) {
	const each = 10 * time.Minute
	for _, pkg := range packages {
		path := "/tests/" + pkg
		g.archive.program(path, goTest(t, pkg))
		args := []string{path, "-test.v", "-test.run=" + os.Getenv("WEIR_VM_RUN")}
		commands = append(commands, command{pkg, args, each})
		limit += each
	}
	return commands, limit
}
