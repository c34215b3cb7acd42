package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/weirfs/weir"
)

// rule is one parsed pattern.
type rule struct {
	pattern  string
	include  bool   // the pattern began with !
	dirOnly  bool   // it ended with a slash
	anchored bool   // it is matched from the root, component by component
	parts    []part // one if it is not anchored
}

func (r rule) matches(path []string, name string, dir bool) bool {
	switch {
	case r.dirOnly && !dir:
		return false
	case r.anchored:
		return matchParts(r.parts, path)
	default:
		return r.parts[0].matches(name)
	}
}

// parseRule reads one pattern.
func parseRule(pattern string) (rule, error) {
	r := rule{pattern: pattern}
	body := pattern
	body, r.include = strings.CutPrefix(body, "!")
	body, r.anchored = strings.CutPrefix(body, "/")
	at := len(pattern) - len(body)
	components := splitPattern(body)
	if n := len(components); n > 1 && components[n-1] == "" {
		r.dirOnly = true
		components = components[:n-1]
	}
	r.anchored = r.anchored || len(components) > 1
	for _, c := range components {
		p, err := parsePart(c)
		if err != nil {
			return rule{}, refusePattern(pattern, at, err)
		}
		r.parts = append(r.parts, p)
		at += len(c) + len("/")
	}
	return r, nil
}

// splitPattern splits at slashes.
func splitPattern(body string) []string {
	start := 0
	var components []string
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '/':
			components = append(components, body[start:i])
			start = i + 1
		}
	}
	return append(components, body[start:])
}

// misplaced is what is wrong with a component of a pattern, at a byte of it.
type misplaced struct {
	at     int
	reason string
}

func (m misplaced) Error() string { return m.reason }

// refusePattern names the column, in characters, of what is wrong in the component that begins at a byte.
func refusePattern(pattern string, at int, err error) error {
	var m misplaced
	if errors.As(err, &m) {
		at += m.at
	}
	column := utf8.RuneCountInString(pattern[:min(at, len(pattern))]) + 1
	return &weir.Error{
		Op:   "parse exclude pattern",
		Kind: weir.KindRefused,
		Path: pattern,
		Err:  fmt.Errorf("column %d: %w", column, err),
		Hint: `a backslash takes the meaning of * ? [ ! \ away`,
	}
}
