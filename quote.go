package weir

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// QuotePath returns path as it is where that is safe on a terminal and in a log line, and a Go string
// literal otherwise: no newline, escape sequence, bidirectional mark or invalid UTF-8 gets through, and
// a name that begins or ends with a space, or holds a quote, is told apart.
func QuotePath(path string) string {
	if path == "" || !utf8.ValidString(path) || strings.ContainsAny(path, `"\`) || strings.TrimSpace(path) != path {
		return strconv.Quote(path)
	}
	for _, r := range path {
		if !unicode.IsPrint(r) {
			return strconv.Quote(path)
		}
	}
	return path
}
