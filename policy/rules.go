package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// Rules are exclude patterns in their order. The last pattern that matches a path decides; a path that none
// matches is not excluded. The zero value excludes nothing. The meaning is that of a .gitignore file at the
// root of the source:
//
//	name       matches a file or directory of that name at any depth
//	/name      matches it at the root of the source only
//	a/b        matches the path a/b from the root: a slash that is not the last character anchors
//	name/      matches directories only
//	*  ?       match any characters, or one, but no slash
//	[a-z]      matches one of these characters, [!a-z] and [^a-z] one that is not among these
//	[[:alpha:]]  matches one of a POSIX class, of which only ASCII characters are members
//	**         as a whole component matches any number of directories, none as well; a/** matches
//	           everything in a, but not a itself
//	!pattern   includes again what an earlier pattern excludes
//	\c         matches the character c, also \! and \\
//
// Braces, spaces and # have no meaning of their own. What is in an excluded directory is excluded, and no
// pattern includes it again, since weir does not look into that directory: to keep one file of a directory,
// exclude what is in the directory, not the directory itself:
//
//	/cache/*   !/cache/keep
//
// Upper and lower case differ. Names may hold any bytes; bytes that are not UTF-8 match only themselves,
// and ?, * and [!...] as one character each.
type Rules struct {
	rules     []rule
	needsPath bool
}

// ParseRules reads patterns in order. An error is a weir.Error of KindRefused that names the pattern and
// the column of what is wrong with it.
func ParseRules(patterns []string) (Rules, error) {
	var r Rules
	for _, pattern := range patterns {
		parsed, err := parseRule(pattern)
		if err != nil {
			return Rules{}, err
		}
		r.rules = append(r.rules, parsed)
		r.needsPath = r.needsPath || parsed.anchored
	}
	return r, nil
}

// Empty reports whether there is no rule at all.
func (r Rules) Empty() bool { return len(r.rules) == 0 }

// NeedsPath reports whether a rule looks at more than the last component of a path. If not, ExcludedEntry
// may be given the name alone.
func (r Rules) NeedsPath() bool { return r.needsPath }

// Excluded reports whether path, or a directory on the way to it, is excluded. path is relative to the root
// of the source, without a slash at the front or at the end; dir says whether it is a directory. The root
// itself, the empty path, never is.
func (r Rules) Excluded(path string, dir bool) bool {
	if r.Empty() || path == "" {
		return false
	}
	parts := strings.Split(path, "/")
	for n := range parts {
		if _, excluded := r.excludedBy(parts[:n+1], dir || n+1 < len(parts)); excluded {
			return true
		}
	}
	return false
}

// ExcludedEntry is Excluded for a path whose directory is known not to be excluded, as it is while a tree
// is walked from the top.
func (r Rules) ExcludedEntry(path string, dir bool) bool {
	_, excluded := r.ExcludedBy(path, dir)
	return excluded
}

// ExcludedBy is ExcludedEntry that also tells which pattern excludes the path.
func (r Rules) ExcludedBy(path string, dir bool) (pattern string, excluded bool) {
	switch {
	case r.Empty():
		return "", false
	case r.needsPath:
		return r.excludedBy(strings.Split(path, "/"), dir)
	default:
		return r.excludedBy([]string{path[strings.LastIndexByte(path, '/')+1:]}, dir)
	}
}

// excludedBy tells which pattern excludes the path of these components.
func (r Rules) excludedBy(parts []string, dir bool) (pattern string, excluded bool) {
	name := parts[len(parts)-1]
	for _, rule := range slices.Backward(r.rules) {
		if rule.matches(parts, name, dir) {
			return rule.pattern, !rule.include
		}
	}
	return "", false
}

// Patterns returns the patterns as they were given.
func (r Rules) Patterns() []string {
	var patterns []string
	for _, rule := range r.rules {
		patterns = append(patterns, rule.pattern)
	}
	return patterns
}

// rulesMeaning changes when the same patterns come to mean something else.
const rulesMeaning = "weir rules 2"

// Fingerprint tells one set of rules from another, across restarts and versions. It is empty if there are
// no rules.
func (r Rules) Fingerprint() string {
	if r.Empty() {
		return ""
	}
	text := []byte(rulesMeaning)
	for _, rule := range r.rules {
		text = binary.AppendUvarint(text, uint64(len(rule.pattern)))
		text = append(text, rule.pattern...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
