package fltmc

// widths are those of consoles, to put together a line that was wrapped though the header was not.
func widths() []int { return []int{80, 100, 120, 132, 160} }

// row reads the line of a table that begins here, and returns of how many lines of the text it is.
func (p *parser) row() (map[string]string, int, error) {
	row, err := p.table.row(p.lines[p.at])
	joined := func(n, width int) (map[string]string, bool) {
		whole, ok := p.joined(n, width)
		return whole, ok && (p.ended || err != nil || len(whole) > len(row) || p.goesOn(n))
	}
	if width := p.table.width; width > 0 {
		most := maxPieces
		if p.ended { // what is looked for is but a line out of its place, and there may be much other text
			most = 2
		}
		for n := most; n > 1; n-- {
			if whole, ok := joined(n, width); ok {
				return whole, n, nil
			}
		}
	}
	if p.table.width > 0 || p.ended || err == nil && p.complete() {
		return row, 1, err
	}
	for n := 2; n <= maxPieces; n++ {
		for _, width := range append(widths(), len(p.lines[p.at])) {
			if width < p.table.end() {
				continue // The header would have been wrapped, too.
			}
			if whole, ok := joined(n, width); ok {
				return whole, n, nil
			}
		}
	}
	return row, 1, err
}

// goesOn says whether behind n lines there is another of the table. Where a line is one by itself, and what follows would only
// make its last text longer, it may be the rest of that text, or something else that was printed below the table.
func (p *parser) goesOn(n int) bool {
	if p.at+n >= len(p.lines) || len(p.lines[p.at+n]) == 0 {
		return false
	}
	_, err := p.table.row(p.lines[p.at+n])
	return err == nil
}

// complete says whether what follows the line cannot be its rest.
func (p *parser) complete() bool {
	if p.at+1 == len(p.lines) || len(p.lines[p.at+1]) == 0 {
		return true
	}
	_, err := p.table.row(p.lines[p.at+1])
	return err == nil
}

// joined reads n lines as one that a console of that width has wrapped.
func (p *parser) joined(n, width int) (map[string]string, bool) {
	if p.at+n > len(p.lines) {
		return nil, false
	}
	pieces := p.lines[p.at : p.at+n]
	for i, piece := range pieces {
		if len(piece) > width || i > 0 && prompt.MatchString(string(piece)) {
			return nil, false
		}
	}
	row, err := p.table.row(join(pieces, width))
	return row, err == nil
}
