package fltmc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// kind is one of the three listings.
type kind int

const (
	ofFilters kind = iota
	ofInstances
	ofVolumes
)

// The names of the columns, in English, as fltmc prints them. "Filter" and "Filter Name" are the same column.
const (
	colFilter     = "Filter Name"
	colCount      = "Num Instances"
	colAltitude   = "Altitude"
	colFrame      = "Frame"
	colVolume     = "Volume Name"
	colInstance   = "Instance Name"
	colFeatures   = "SprtFtrs"
	colStatus     = "VlStatus"
	colDOS        = "Dos Name"
	colFileSystem = "FileSystem"
	colState      = "Status"
)

// columnsOf are the columns that each listing may have, those that it always has first.
func columnsOf(k kind) (all []string, always int) {
	switch k {
	case ofFilters:
		return []string{colFilter, colCount, colFrame, colAltitude}, 3
	case ofInstances:
		return []string{colInstance, colAltitude, colFilter, colVolume, colFrame, colFeatures, colStatus}, 2
	}
	return []string{colVolume, colFileSystem, colDOS, colState}, 3
}

// cell is a text and its place: from the first column on up to but not including the second.
type cell struct {
	text       string
	start, end int
}

// cells splits a line where there are two spaces or more, which are between any two columns.
func cells(line []rune) (all []cell) {
	for i := 0; i < len(line); {
		if line[i] == ' ' {
			i++
			continue
		}
		start, end := i, i+1
		for ; i < len(line) && (line[i] != ' ' || i+1 < len(line) && line[i+1] != ' '); i++ {
			end = i + 1
		}
		all = append(all, cell{string(line[start:end]), start, end})
	}
	return all
}

// table is a header.
type table struct {
	kind    kind
	line    int // of the header, from 1
	columns []cell
	width   int // of the console that wrapped the header; 0 if none did
}

// end is the place behind its last column, by the dashes.
func (t *table) end() int { return t.columns[len(t.columns)-1].end }

// dashes says whether the line is of dashes and spaces only.
func dashes(line []rune) bool {
	return len(line) > 0 && strings.Trim(string(line), "- ") == "" && slices.Contains(line, '-')
}

// underlined says whether the line has two groups or more of three dashes or more, and nothing else.
func underlined(line []rune) bool {
	groups := strings.Fields(string(line))
	return len(groups) > 1 && !slices.ContainsFunc(groups, func(g string) bool {
		return len(g) < 3 || strings.Trim(g, "-") != ""
	})
}

// maxPieces is into how many lines a console may have wrapped one.
const maxPieces = 4

// tableAt returns the table whose header begins at that line, and the number of lines of the header and the dashes, or nil if
// none does. It is an error if there is a header, but not one of fltmc's.
func tableAt(lines [][]rune, at int) (*table, int, error) {
	if len(lines[at]) == 0 || dashes(lines[at]) {
		return nil, 0, nil
	}
	for n := 1; n <= maxPieces && at+2*n <= len(lines); n++ {
		head, under := lines[at:at+n], lines[at+n:at+2*n]
		if slices.ContainsFunc(head, dashes) {
			break
		}
		if !dashes(under[0]) || n == 1 && !underlined(under[0]) {
			continue
		}
		if slices.ContainsFunc(under, func(l []rune) bool { return !dashes(l) }) {
			continue
		}
		if at+2*n < len(lines) && dashes(lines[at+2*n]) {
			continue
		}
		t, err := header(head, under)
		if err != nil {
			if n > 1 && !underlined(join(under, len(under[0]))) {
				continue
			}
			return nil, 0, err
		}
		t.line = at + 1
		return t, 2 * n, nil
	}
	if slices.Contains([]string{colFilter, "Filter", colVolume, colDOS}, firstCell(lines[at])) {
		if _, err := kindOf(cells(lines[at])); err == nil {
			return nil, 0, errors.New("a header without the line of dashes under it")
		}
	}
	return nil, 0, nil
}

// firstCell returns what a line begins with, up to where there are two spaces.
func firstCell(line []rune) string {
	text, _, _ := strings.Cut(strings.TrimLeft(string(line), " "), "  ")
	return text
}

// join puts together the lines into which a console of that width has wrapped one.
func join(pieces [][]rune, width int) []rune {
	var all []rune
	for i, piece := range pieces {
		all = append(all, piece...)
		for i < len(pieces)-1 && len(all) < (i+1)*width {
			all = append(all, ' ')
		}
	}
	return all
}

// header makes a table of its header and the dashes under it. Where they are wrapped, the width is that of the first line of
// dashes, or up to three more where the spaces between two columns are cut off at its end.
func header(head, under [][]rune) (*table, error) {
	if len(head) == 1 {
		return columns(head[0], under[0])
	}
	var first error
	for width := len(under[0]); width <= len(under[0])+3; width++ {
		if slices.ContainsFunc(head, func(l []rune) bool { return len(l) > width }) {
			continue
		}
		t, err := columns(join(head, width), join(under, width))
		if err == nil {
			t.width = width
			return t, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("a header that is longer than the dashes under it")
	}
	return nil, first
}

// columns makes a table of a header and the dashes under it, which have the places of the columns.
func columns(head, under []rune) (*table, error) {
	names, places := cells(head), cells(under)
	k, err := kindOf(names)
	if err != nil {
		return nil, err
	}
	if len(names) != len(places) {
		return nil, fmt.Errorf("%d columns with %d lines of dashes: spaces were lost where it was copied", len(names), len(places))
	}
	for i := range places {
		if names[i].start > places[i].end || names[i].end < places[i].start {
			return nil, fmt.Errorf("the header %q is not over its dashes: spaces were lost where it was copied", names[i].text)
		}
		places[i].text = canonical(names[i].text)
	}
	return &table{kind: k, columns: places}, nil
}

func canonical(name string) string {
	if name == "Filter" {
		return colFilter
	}
	return name
}

// kindOf returns whose columns these are.
func kindOf(names []cell) (kind, error) {
	for _, k := range []kind{ofFilters, ofInstances, ofVolumes} {
		all, always := columnsOf(k)
		have := map[string]bool{}
		for _, n := range names {
			have[canonical(n.text)] = slices.Contains(all, canonical(n.text))
		}
		fits := len(have) == len(names)
		for name, known := range have {
			fits = fits && known && name != ""
		}
		for _, name := range all[:always] {
			fits = fits && have[name]
		}
		if fits {
			return k, nil
		}
	}
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, fmt.Sprintf("%q", n.text))
	}
	return 0, fmt.Errorf("a table of the columns %.200s is none that fltmc prints in English", strings.Join(quoted, ", "))
}

// row returns the texts of a line by the names of their columns. A text that is wider than its column moves those after it.
func (t *table) row(line []rune) (map[string]string, error) {
	found := map[string]string{}
	column, moved := 0, 0
	for _, c := range cells(line) {
		// A text may begin up to two places before the dashes, as <Legacy> does.
		for column+1 < len(t.columns) && c.start >= t.columns[column+1].start+moved-2 {
			column++
		}
		place := t.columns[column]
		if before, double := found[place.text]; double {
			return nil, fmt.Errorf("%q and %q are both in the column %s", before, c.text, place.text)
		}
		found[place.text] = c.text
		moved += max(0, c.end-place.end-moved)
	}
	return found, t.check(found)
}
