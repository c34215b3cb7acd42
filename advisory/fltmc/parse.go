package fltmc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weirfs/weir"
)

const (
	maxPairs  = 1 << 20 // pairs of a filter and a volume that a text may name
	maxScopes = 512     // listings of one filter or volume after the last one of everything
)

// errCut is that a text ends within a line of a table, whose last word may be longer.
var errCut = errors.New("the text ends in this line")

// Parse reads a text of at most 4 MiB. The error is a weir.Error of KindRefused that names the line that is not understood, or
// says that there is no listing of fltmc's.
func Parse(text []byte) (*Listing, error) {
	refuse := func(err error, hint string) error {
		return &weir.Error{Op: "read listing of fltmc", Kind: weir.KindRefused, Err: err, Hint: hint}
	}
	lines, err := split(text)
	if err != nil {
		return nil, refuse(err, "")
	}
	p := &parser{lines: lines}
	for p.at < len(lines) {
		if err := p.step(); err != nil {
			hint := "take the line out if fltmc has not printed it; its columns are read by their English names and their places: else have it print them again, in English and in a wide window"
			if errors.Is(err, errCut) {
				hint = "have fltmc print it again; if it is whole, end its last line"
			}
			return nil, refuse(fmt.Errorf("line %d: %w", p.at+1, err), hint)
		}
	}
	p.compare()
	l := &p.listing
	if !l.allFilters && !l.allInstances && !l.allVolumes && len(l.scopes) == 0 {
		return nil, refuse(errors.New("there is no listing in it"), "save what fltmc instances, fltmc filters and fltmc volumes print")
	}
	names := func(of func(Instance) string) int {
		all := map[string]bool{}
		for _, i := range l.Instances {
			all[fold(of(i))] = true
		}
		return len(all)
	}
	filters := max(names(func(i Instance) string { return i.Filter }), len(l.Filters))
	volumes := names(func(i Instance) string { return i.Volume }) + len(l.Volumes)
	if filters*volumes > maxPairs {
		return nil, refuse(fmt.Errorf("%d filters and %d volumes are more than can be compared", filters, volumes), "")
	}
	return l, nil
}

// parser is between two lines.
type parser struct {
	lines   [][]rune
	at      int // the next line
	listing Listing

	table *table // the one that the line may belong to
	ended bool   // there was other text after its lines
	scope scope  // of the last command that was pasted with its output
	of    scope  // of the table
	again *again // the table lists what one before it has listed; nil if it does not
}

// prompt is what stands before a command: that of cmd.exe or PowerShell, or what is left of it.
var prompt = regexp.MustCompile(`^\s*(\[[^\]]*\]: )?(PS )?([A-Za-z]:\\[^<>|"?*]*|[A-Za-z]:|PS)?>`)

// command is one that lists instances of one filter or volume.
var command = regexp.MustCompile(`(?i)^(?:fltmc(?:\.exe)?|[^|&<>"]*[\\> ]fltmc(?:\.exe)?)\s+instances(?:\s+(-[fv])\s+(?:"([^"]*)"|([^\s"|>]+)))?\s*(?:[|>].*)?$`)

// step reads a header, a line of a table, or any other line.
func (p *parser) step() error {
	line := p.lines[p.at]
	if len(line) == 0 {
		p.at++
		return nil
	}
	if p.words(string(line)) {
		p.table, p.ended = nil, false
		p.at++
		return nil
	}
	t, n, err := tableAt(p.lines, p.at)
	if err != nil {
		return err
	}
	if t != nil {
		if err = p.begin(t); err == nil {
			p.at += n
		}
		return err
	}
	if underlined(line) {
		return errors.New("dashes without a header over them")
	}
	if p.table == nil {
		p.at++
		return nil
	}
	row, n, err := p.row()
	switch {
	case err == nil && p.ended:
		return fmt.Errorf("a line of the table of line %d after other text", p.table.line)
	case err == nil && p.at+n == len(p.lines) && len(p.lines[len(p.lines)-1]) > 0:
		return fmt.Errorf("%w of the table of line %d, without an end of line: it may be cut off there", errCut, p.table.line)
	case err == nil:
		p.listing.add(p.table.kind, row, p.at+1, p.of)
		p.at += n
		return nil
	case p.ended || len(p.lines[p.at-1]) == 0: // words after the table
		p.ended = true
		p.at++
		return nil
	}
	return fmt.Errorf("no line of the table of line %d: %w", p.table.line, err)
}

// words says whether the line is a prompt or a command, and keeps of which filter or volume the command lists instances.
func (p *parser) words(line string) bool {
	typed := prompt.FindString(line)
	rest := strings.TrimSpace(line[len(typed):])
	m := command.FindStringSubmatch(rest)
	if m == nil {
		is := typed != "" || strings.HasPrefix(strings.ToLower(rest), "fltmc ") || strings.EqualFold(rest, "fltmc")
		if is {
			p.scope = scope{}
		}
		return is
	}
	p.scope = scope{}
	switch name := m[2] + m[3]; strings.ToLower(m[1]) {
	case "-f":
		p.scope.filter = name
	case "-v":
		p.scope.volume = name
	}
	return true
}

// begin starts a table. What a listing of everything says takes the place of what one before it has said.
func (p *parser) begin(t *table) error {
	p.compare()
	p.of, p.scope = p.scope, scope{}
	p.table, p.ended = t, false
	l := &p.listing
	switch t.kind {
	case ofFilters:
		if l.allFilters {
			p.again = &again{kind: t.kind, line: t.line, before: rowsOf(l.Filters)}
		}
		l.Filters, l.allFilters = nil, true
		return nil
	case ofVolumes:
		if l.allVolumes {
			p.again = &again{kind: t.kind, line: t.line, before: rowsOf(l.Volumes)}
		}
		l.Volumes, l.allVolumes = nil, true
		return nil
	}
	has := func(name string) bool {
		return slices.ContainsFunc(t.columns, func(c cell) bool { return c.text == name })
	}
	switch {
	case !has(colFilter) && p.of.filter == "":
		return errors.New("instances without the column Filter: of which filter is known only with the command (fltmc instances -f FILTER) in a line before")
	case !has(colVolume) && p.of.volume == "":
		return errors.New("instances without the column Volume Name: on which volume is known only with the command (fltmc instances -v VOLUME) in a line before")
	case p.of == scope{}:
		if l.allInstances || len(l.scopes) > 0 {
			p.again = &again{kind: t.kind, line: t.line, before: rowsOf(l.Instances), part: !l.allInstances}
		}
		l.Instances, l.allInstances, l.scopes = nil, true, nil
		return nil
	}
	// It takes the place of what was listed of the same filter or volume.
	var before []Instance
	l.Instances = slices.DeleteFunc(l.Instances, func(i Instance) bool {
		same := p.of.filter != "" && fold(i.Filter) == fold(p.of.filter) || p.of.volume != "" && fold(i.Volume) == fold(p.of.volume)
		if same {
			before = append(before, i)
		}
		return same
	})
	if l.allInstances || slices.Contains(l.scopes, p.of) {
		p.again = &again{kind: t.kind, line: t.line, before: rowsOf(before), first: len(l.Instances)}
	}
	if l.scopes = append(l.scopes, p.of); len(l.scopes) > maxScopes {
		return fmt.Errorf("more than %d listings of one filter or volume", maxScopes)
	}
	return nil
}

// add keeps a line of a table.
func (l *Listing) add(k kind, row map[string]string, line int, of scope) {
	altitude, _ := weir.ParseAltitude(row[colAltitude]) // checked, or <Legacy>
	old := row[colFrame] == legacy || row[colAltitude] == legacy
	frame := strings.TrimSuffix(row[colFrame], legacy)
	switch k {
	case ofFilters:
		count, err := strconv.Atoi(row[colCount])
		if err != nil {
			count = -1
		}
		l.Filters = append(l.Filters, Filter{line, row[colFilter], count, altitude, frame, old})
	case ofVolumes:
		l.Volumes = append(l.Volumes, Volume{line, row[colDOS], row[colVolume], row[colFileSystem], row[colState] != ""})
	case ofInstances:
		i := Instance{
			Line: line, Filter: row[colFilter], Volume: row[colVolume], Altitude: altitude, Name: row[colInstance],
			Frame: frame, Features: row[colFeatures], Detached: row[colStatus] != "", Legacy: old,
		}
		if i.Filter == "" {
			i.Filter = of.filter
		}
		if i.Volume == "" && of.volume != "" {
			i.Volume = of.volume
		}
		l.Instances = append(l.Instances, i)
	}
}
