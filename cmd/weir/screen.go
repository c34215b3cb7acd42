package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// screen is a terminal with a live view at its end, above which the log goes on. It is safe for concurrent
// use.
type screen struct {
	to   io.Writer
	file *os.File // the same, to ask how wide it is

	mu    sync.Mutex
	lines int // of the live view that stand on the terminal
}

// Write takes a line of the log: the view makes room for it, and is drawn again with the next change.
func (s *screen) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.WriteString(s.to, s.eraseLocked()); err != nil {
		return 0, err
	}
	return s.to.Write(line)
}

// columns is how wide a line may be: a terminal may break one that fills it.
func (s *screen) columns() int {
	columns, _, err := term.GetSize(int(s.file.Fd()))
	if err != nil || columns < 20 {
		columns = 120
	}
	return columns - 1
}

// draw replaces the live view. What is wider than so many columns is cut.
func (s *screen) draw(lines []string, columns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	b.WriteString(s.eraseLocked())
	for _, line := range lines {
		b.WriteString(clip(printable(line), columns) + "\n")
	}
	s.lines = len(lines)
	_, _ = io.WriteString(s.to, b.String()) // A terminal that is gone is no reason to stop.
}

func (s *screen) eraseLocked() string {
	if s.lines == 0 {
		return ""
	}
	n := s.lines
	s.lines = 0
	return fmt.Sprintf("\x1b[%dA\x1b[J", n)
}

// shorten leaves out the middle of a text that is wider than so many columns: of a path the ends tell most.
func shorten(text string, columns int) string {
	const gap = "..."
	runes, wide := []rune(text), 0
	for _, r := range runes {
		wide += columnsOf(r)
	}
	if wide <= columns {
		return text
	}
	begin := clip(text, (columns-len(gap))/2)
	end := len(runes)
	for room := columns - len(gap) - (columns-len(gap))/2; end > 0 && columnsOf(runes[end-1]) <= room; end-- {
		room -= columnsOf(runes[end-1])
	}
	return begin + gap + string(runes[end:])
}

// clip cuts a line to so many columns.
func clip(line string, columns int) string {
	for i, r := range line {
		if columns -= columnsOf(r); columns < 0 {
			return line[:i]
		}
	}
	return line
}

// columnsOf is how many columns a terminal gives a character: those of East Asia have two, and what is drawn over
// another one has none.
func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// printable replaces everything that a terminal might act on. Paths are quoted before; this is for what the
// kernel or a program behind a file system may have put into a reason.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
