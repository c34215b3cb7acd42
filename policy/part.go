package policy

import (
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// part matches one component of a path.
type part struct {
	any     bool   // **: any number of components
	literal string // the name itself, if glob is empty
	glob    string // for doublestar, which sees one component at a time
}

func (p part) matches(name string) bool {
	switch {
	case p.any:
		return true
	case p.glob == "":
		return p.literal == name
	default:
		return doublestar.MatchUnvalidated(p.glob, spell(name))
	}
}

// matchParts reports whether parts match the whole path. Only the last ** that was passed is ever widened:
// if what follows it can match further on, what precedes it has matched already. A ** at the end stands for
// one component at least.
func matchParts(parts []part, path []string) bool {
	p, n := 0, 0
	retry, from := -1, 0
	for n < len(path) {
		switch {
		case p < len(parts) && parts[p].any:
			if p++; p == len(parts) {
				return true
			}
			retry, from = p, n
		case p < len(parts) && parts[p].matches(path[n]):
			p++
			n++
		case retry < 0:
			return false
		default:
			from++
			p, n = retry, from
		}
	}
	return p == len(parts)
}

// parsePart reads one component of a pattern. Errors are misplaced.
func parsePart(text string) (part, error) {
	switch text {
	case "":
		return part{}, misplaced{0, "nothing to match between, before or after the slashes"}
	case ".", "..":
		return part{}, misplaced{0, "no file has this name"}
	case "**":
		return part{any: true}, nil
	}
	s := partScanner{text: text}
	for s.at < len(text) {
		if err := s.next(); err != nil {
			return part{}, err
		}
	}
	if s.special {
		return part{glob: s.glob.String()}, nil
	}
	return part{literal: s.literal.String()}, nil
}

// partScanner checks a component and translates it for doublestar.
type partScanner struct {
	text    string
	at      int
	special bool // holds more than literal characters
	literal strings.Builder
	glob    strings.Builder
}

// next takes one term: a character, a wildcard or a class.
func (s *partScanner) next() error {
	switch s.text[s.at] {
	case '*':
		s.special = true
		s.at += len(s.text[s.at:]) - len(strings.TrimLeft(s.text[s.at:], "*"))
		s.glob.WriteByte('*')
		return nil
	case '?':
		s.special = true
		s.at++
		s.glob.WriteByte('?')
		return nil
	case '[':
		s.special = true
		return s.class()
	default:
		raw, r, err := s.character()
		s.literal.WriteString(raw)
		s.write(r)
		return err
	}
}

// class takes [...] with at least one member; a bracket that is the first does not close it.
func (s *partScanner) class() error {
	begin := s.at
	s.at++
	s.glob.WriteByte('[')
	if s.peek() == '!' || s.peek() == '^' {
		s.at++
		s.glob.WriteByte('^')
	}
	for first := s.at; s.at < len(s.text) && (s.peek() != ']' || s.at == first); {
		if err := s.member(); err != nil {
			return err
		}
	}
	if s.at == len(s.text) {
		return misplaced{begin, "the character class is not closed; a bracket itself is written \\["}
	}
	s.at++
	s.glob.WriteByte(']')
	return nil
}

// member takes a character, a range or a named class of a class.
func (s *partScanner) member() error {
	begin := s.at
	if name, ok := s.className(); ok {
		return s.namedClass(name)
	}
	_, low, err := s.character()
	if err != nil {
		return err
	}
	s.write(low)
	rest := s.text[s.at:]
	if len(rest) < 2 || rest[0] != '-' || rest[1] == ']' {
		return nil
	}
	s.at++
	_, high, err := s.character()
	if err != nil {
		return err
	}
	if high < low {
		return misplaced{begin, "the range runs backwards"}
	}
	s.glob.WriteByte('-')
	s.write(high)
	return nil
}

// className is the name in [:name:], if that comes next. As in git, what ends otherwise are characters.
func (s *partScanner) className() (name string, ok bool) {
	rest, ok := strings.CutPrefix(s.text[s.at:], "[:")
	if !ok {
		return "", false
	}
	inner, _, closed := strings.Cut(rest, "]")
	name, ok = strings.CutSuffix(inner, ":")
	return name, ok && closed
}

// namedClass takes [:name:], which is the same set of ASCII characters in every locale.
func (s *partScanner) namedClass(name string) error {
	ranges, known := namedRanges(name)
	if !known {
		return misplaced{s.at, "no character class has this name"}
	}
	s.at += len("[:") + len(name) + len(":]")
	for i := 0; i < len(ranges); i += 2 {
		s.write(rune(ranges[i]))
		s.glob.WriteByte('-')
		s.write(rune(ranges[i+1]))
	}
	return nil
}

// namedRanges returns the first and the last character of each range of a POSIX class, as git has them. A slash is in
// no name.
func namedRanges(name string) (pairs string, known bool) {
	pairs, known = map[string]string{
		"alnum": "09AZaz", "alpha": "AZaz", "blank": "\t\t  ", "cntrl": "\x01\x1f\x7f\x7f", "digit": "09",
		"graph": "!~", "lower": "az", "print": " ~", "punct": "!.:@[`{~", "space": "\t\n\r\r  ", "upper": "AZ",
		"xdigit": "09AFaf",
	}[name]
	return pairs, known
}

// character takes a character that may be escaped. raw is how it stands in a name.
func (s *partScanner) character() (raw string, r rune, err error) {
	begin := s.at
	if s.text[s.at] == '\\' {
		s.at++
		if s.at == len(s.text) {
			return "", 0, misplaced{begin, "a backslash at the end"}
		}
	}
	r, size := utf8.DecodeRuneInString(s.text[s.at:])
	raw = s.text[s.at : s.at+size]
	s.at += size
	switch {
	case r == utf8.RuneError && size == 1:
		r = spellByte(raw[0])
	case r == 0 || r == '/' || r >= reserved:
		return "", 0, misplaced{begin, "no name holds this character, or it cannot be told from another"}
	}
	return raw, r, nil
}

// write adds a literal character.
func (s *partScanner) write(r rune) {
	if strings.ContainsRune(`*?[]{}\-!^`, r) {
		s.glob.WriteByte('\\')
	}
	s.glob.WriteRune(r)
}

func (s *partScanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// reserved is the first of the private characters that stand for bytes that are not UTF-8 while a pattern
// is matched, since doublestar takes all such bytes for one character. reserved itself stands for the
// private characters from there on, where a name holds them.
const reserved rune = 0x10fd00

func spellByte(b byte) rune { return 0x10fe00 + rune(b) }

// spell returns name with one character for each byte that is not UTF-8.
func spell(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, "\xf4\x8f") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			r = spellByte(name[i])
		case r >= reserved:
			r = reserved
		}
		b.WriteRune(r)
		i += size
	}
	return b.String()
}
