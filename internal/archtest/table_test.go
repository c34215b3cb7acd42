package archtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const module = "github.com/weirfs/weir"

// noTier is the tier of packages that stand beside the tiers: system calls and tests.
const noTier = -1

// row is one line of the table in docs/architecture.md.
type row struct {
	tier     int
	packages []string // relative to the module; "a/..." is a and everything below it
	allowed  []string // words of the last column
}

// module row of docs/dependencies.md: who imports a module that is not weir's.
type dependency struct {
	module    string
	importers []string
}

// readTable returns the cells of the first table in a document whose header begins with first.
func readTable(path, first string) ([][]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	in := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if in {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == first:
			in = true
		case in && !strings.HasPrefix(cells[0], "--"):
			rows = append(rows, cells)
		}
	}
	if !in {
		return nil, fmt.Errorf("%s has no table that begins with %q", path, first)
	}
	return rows, nil
}

func readArchitecture(path string) ([]row, error) {
	table, err := readTable(path, "tier")
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, cells := range table {
		if len(cells) != 4 {
			return nil, fmt.Errorf("%s: %q has %d cells", path, cells, len(cells))
		}
		r := row{tier: noTier, packages: words(cells[1]), allowed: words(cells[3])}
		if n, err := strconv.Atoi(cells[0]); err == nil {
			r.tier = n
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, cells[1], err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// words splits a cell at its commas and takes off the backquotes.
func words(cell string) (list []string) {
	for _, word := range strings.Split(cell, ",") {
		if word = strings.Trim(strings.TrimSpace(word), "`"); word != "" {
			list = append(list, word)
		}
	}
	return list
}

// check finds a row that points upward or sideways as a whole: a tier imports those below it only.
func (r row) check() error {
	if len(r.packages) == 0 || len(r.allowed) == 0 {
		return fmt.Errorf("names no package, or nothing that it may import")
	}
	for _, word := range r.allowed {
		if _, high, ok := tierRange(word); ok && r.tier != noTier && high >= r.tier {
			return fmt.Errorf("tier %d may not import tier %d", r.tier, high)
		}
	}
	return nil
}

// tierRange reads "2" and "0-2".
func tierRange(word string) (low, high int, ok bool) {
	from, to, found := strings.Cut(word, "-")
	if !found {
		to = from
	}
	low, err1 := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	return low, high, err1 == nil && err2 == nil
}

// has tells whether the row is about a package.
func (r row) has(pkg string) bool {
	for _, pattern := range r.packages {
		if matches(pattern, pkg) {
			return true
		}
	}
	return false
}

func matches(pattern, pkg string) bool {
	if root, below := strings.CutSuffix(pattern, "/..."); below {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return pkg == pattern
}

func readDependencies(path string) ([]dependency, error) {
	table, err := readTable(path, "module")
	if err != nil {
		return nil, err
	}
	var list []dependency
	for _, cells := range table {
		if len(cells) < 2 {
			return nil, fmt.Errorf("%s: %q has %d cells", path, cells, len(cells))
		}
		list = append(list, dependency{strings.Trim(cells[0], "`"), words(cells[1])})
	}
	return list, nil
}
