package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"
)

// answerer is what commands have in common that print one answer.
type answerer struct{ json bool }

func (a *answerer) flag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "print one JSON object")
}

// print writes an answer as JSON, or as text.
func (a *answerer) print(w io.Writer, answer any, text func(io.Writer) error) error {
	if !a.json {
		return text(lines{w})
	}
	whole, err := json.Marshal(answer)
	if err == nil {
		_, err = w.Write(append(escaped(whole), '\n'))
	}
	return err
}

// lines passes text on with everything escaped that a terminal might act on, but the ends of lines: whatever is told may hold
// words of a filter, and those the names of files.
type lines struct{ to io.Writer }

// Write implements io.Writer.
func (l lines) Write(b []byte) (int, error) {
	parts := strings.Split(string(b), "\n")
	for i, part := range parts {
		parts[i] = printable(part)
	}
	if _, err := io.WriteString(l.to, strings.Join(parts, "\n")); err != nil {
		return 0, err
	}
	return len(b), nil
}

// escaped returns JSON that says the same, with an escape for everything that a terminal might act on.
func escaped(whole []byte) []byte {
	b := bytes.NewBuffer(make([]byte, 0, len(whole)+1))
	for _, r := range string(whole) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(b, `\u%04x`, unit)
		}
	}
	return b.Bytes()
}
