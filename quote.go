package weir

import (
	"encoding/json"
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

// UnquotePath returns the path of which QuotePath made text, byte for byte.
func UnquotePath(text string) string {
	if path, err := strconv.Unquote(text); err == nil && strings.HasPrefix(text, `"`) {
		return path
	}
	return text
}

// LogPath is a path as an attribute of a log record. A handler for text gets it as it is, and quotes it once where that
// is called for; JSON has no place for bytes that are not UTF-8, so that there, as in all of weir's JSON, it is what
// QuotePath returns.
type LogPath string

func (p LogPath) String() string { return QuotePath(string(p)) }

// MarshalText is what slog's handler for text asks for.
func (p LogPath) MarshalText() ([]byte, error) { return []byte(p), nil }

// MarshalJSON is what slog's handler for JSON asks for.
func (p LogPath) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }
