// Package spec holds models of how weir attaches filters to volumes, for the model checker spin. README.md says what
// they say, and its tables are the variants that the package's test runs.
package spec

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

var large = flag.Bool("large", false, "run the variants that take minutes, too")

// TestVariants has spin explore every variant of the models. What should hold has to hold in all states, and a mutant
// has to break the promise that the table says; with -v its schedule is printed.
func TestVariants(t *testing.T) {
	voltest.RequireTool(t, "spin", "spin")
	voltest.RequireTool(t, "gcc", "gcc")
	for _, v := range readVariants(t) {
		if v.large && !*large {
			continue
		}
		t.Run(v.name(), func(t *testing.T) {
			t.Parallel()
			v.check(t)
		})
	}
}

func (v variant) check(t *testing.T) {
	c := newChecker(t, v)
	limit := 5 * time.Minute
	if v.large {
		limit = time.Hour
	}
	start := time.Now()
	c.run(limit, c.spin("-a")...)
	c.run(limit, v.compile()...)
	compiled := time.Since(start).Round(10 * time.Millisecond)
	start = time.Now()
	verdict, states := c.read(c.run(limit, "./pan", "-m1000000"))
	t.Logf("%s, %s states: compiled in %v, explored in %v", verdict, states, compiled, time.Since(start).Round(10*time.Millisecond))
	if verdict != holds {
		t.Log(c.schedule())
	}
	if verdict != v.verdict {
		t.Errorf("README.md says %q, and spin has found %q", v.verdict, verdict)
	} else if states != v.states {
		t.Errorf("README.md says %s states, and spin has found %s: has the model lost some?", v.states, states)
	}
}

// checker runs the tools for one variant, in a directory of its own.
type checker struct {
	t     *testing.T
	dir   string
	model string
	flags []string
}

// compile is how spin's checker is compiled: for assertions and invalid end states, and not for more than 3 GB. What is
// found soon is not worth optimising.
func (v variant) compile() []string {
	level := "-O1"
	if v.verdict != holds {
		level = "-O0"
	}
	return []string{"gcc", "-w", level, "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=3000", "-o", "pan", "pan.c"}
}

func newChecker(t *testing.T, v variant) checker {
	t.Helper()
	c := checker{t: t, dir: t.TempDir(), model: v.model + ".pml", flags: v.flags()}
	text, err := os.ReadFile(c.model)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, c.model), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

// spin returns a call of spin for the model.
func (c checker) spin(arguments ...string) []string {
	return slices.Concat([]string{"spin"}, arguments, c.flags, []string{c.model})
}

func (c checker) run(limit time.Duration, command ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

const holds = "holds"

var (
	statesLine = regexp.MustCompile(`(?m)^ *(\d+) states, stored`)
	brokenLine = regexp.MustCompile(`assertion violated \(+(P\d)\|\|`)
	errorsLine = regexp.MustCompile(`errors: (\d+)\n`)
	// The assertions at rest are the last of init: a model in which nothing ever comes to rest has proved nothing.
	initLine = regexp.MustCompile(`unreached in init\n\t\(0 of \d+ states\)`)
)

// read returns what the checker has found, and how many states it has stored.
func (c checker) read(out string) (verdict, states string) {
	found, stored := errorsLine.FindStringSubmatch(out), statesLine.FindStringSubmatch(out)
	if found == nil || stored == nil {
		c.t.Fatalf("spin has said neither errors nor states:\n%s", out)
	}
	states = grouped(stored[1])
	if found[1] != "0" {
		if promise := brokenLine.FindStringSubmatch(out); promise != nil {
			return promise[1] + " broken", states
		}
		return "an error that names no promise: " + firstLine(out), states
	}
	for _, short := range []string{"max search depth too small", "Search not completed", "hash-table is full", "reached -DMEMLIM"} {
		if strings.Contains(out, short) {
			c.t.Fatalf("the search is incomplete: %s\n%s", short, out)
		}
	}
	if !initLine.MatchString(out) {
		c.t.Fatalf("the model does not come to rest:\n%s", out)
	}
	return holds, states
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// schedule returns the way to what was found, as the models tell it.
func (c checker) schedule() string {
	command := c.spin("-t", "-T")
	cmd := exec.CommandContext(c.t.Context(), command[0], command[1:]...)
	cmd.Dir = c.dir
	out, _ := cmd.CombinedOutput() // spin ends with an error, since an assertion is violated
	told, _, _ := strings.Cut(string(out), "#processes")
	var schedule strings.Builder
	for line := range strings.Lines(told) {
		if !strings.HasPrefix(line, "=") && !strings.HasPrefix(line, "spin: warning") {
			schedule.WriteString(line)
		}
	}
	return "the schedule:\n" + schedule.String()
}

// grouped writes a number as the tables do: 1 234 567.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}

// variant is a row of a table.
type variant struct {
	model, switches, verdict, states string
	large                            bool
}

func (v variant) name() string {
	return strings.ReplaceAll(strings.TrimSpace(v.model+" "+v.switches), " ", ",")
}

func (v variant) flags() (flags []string) {
	for _, s := range strings.Fields(v.switches) {
		flags = append(flags, "-D"+s)
	}
	return flags
}

// readVariants reads the tables of variants. Those below the heading with "torture" are large.
func readVariants(t *testing.T) (list []variant) {
	t.Helper()
	for _, r := range readRows(t) {
		if _, err := os.Stat(r.cells[0] + ".pml"); err == nil {
			list = append(list, variant{r.cells[0], r.cells[1], r.cells[2], r.cells[3], strings.Contains(r.heading, "torture")})
		}
	}
	if len(list) < 60 {
		t.Fatalf("README.md has only %d variants", len(list))
	}
	return list
}

// row is a line of a table of README.md with five columns.
type row struct {
	heading string
	cells   []string
}

func readRows(t *testing.T) (rows []row) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			heading = line
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, row{heading, cells[1:6]})
	}
	return rows
}

// TestNamesAreDeclared checks that both names in each row of the table of names are declared.
func TestNamesAreDeclared(t *testing.T) {
	rows := 0
	for _, r := range readRows(t) {
		if !strings.HasSuffix(r.cells[0], ".pml") {
			continue
		}
		rows++
		if !declared(t, r.cells[0], "inline|#define|proctype|typedef|mtype|bool|byte", r.cells[1]) {
			t.Errorf("%s has no %s", r.cells[0], r.cells[1])
		}
		if !declared(t, "../"+r.cells[2]+"/*.go", `func|func \([^)]*\)|type`, r.cells[3]) {
			t.Errorf("package %s has no %s", r.cells[2], r.cells[3])
		}
	}
	if rows < 40 {
		t.Errorf("README.md names only %d", rows)
	}
}

func declared(t *testing.T, pattern, keywords, name string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^(` + keywords + `) ` + regexp.QuoteMeta(name) + `\b`)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return declaration.Match(text)
	})
}
