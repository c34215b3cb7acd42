package voltest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// skippedEnv names a file to which Skip adds a line per skipped test, so that a run can say at its end
// what it did not test.
const skippedEnv = "WEIR_SKIPPED"

// Skip ends the test as skipped, because feature is not there, and counts it. It is the only way in
// which a test of weir is skipped. why is a clause that says what would make the test run.
func Skip(t testing.TB, feature, why string) {
	t.Helper()
	line := fmt.Sprintf("SKIPPED: %s: no %s: %s", t.Name(), feature, why)
	if path := os.Getenv(skippedEnv); path != "" {
		if err := appendLine(path, line); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(line)
}

// appendLine adds a line in one write, since packages are tested at the same time.
func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(line + "\n")
	return err
}

// RequireRoot skips the test without root. As root it fails the test unless Unshared runs it, so that
// no mount of a test ever shows in the machine's namespace.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "root", "real volumes need it: run as root")
	}
	if os.Getenv(runDirEnv) == "" {
		t.Fatal("voltest: the package needs func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }")
	}
}

// RequireTool skips the test if program is not installed. origin says what brings it.
func RequireTool(t testing.TB, program, origin string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		Skip(t, program, "install "+origin+", or run make deps")
	}
}
