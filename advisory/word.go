package advisory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NT is the version of a system, as 6.0 is for Windows Vista and Windows Server 2008.
type NT [2]uint16

// ParseNT reads two numbers with a dot between them.
func ParseNT(text string) (nt NT, err error) {
	v, err := ParseVersion(text + ".0.0")
	if err != nil {
		return nt, fmt.Errorf("system %q: it is not two numbers with a dot between them", text)
	}
	return NT(v[:2]), nil
}

// Compare returns a negative number if nt is the older one, 0 if they are equal, and a positive number else.
func (nt NT) Compare(other NT) int { return slices.Compare(nt[:], other[:]) }

// String returns the two numbers with a dot between them.
func (nt NT) String() string { return fmt.Sprintf("%d.%d", nt[0], nt[1]) }

// MarshalText implements encoding.TextMarshaler.
func (nt NT) MarshalText() ([]byte, error) { return []byte(nt.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (nt *NT) UnmarshalText(text []byte) (err error) {
	*nt, err = ParseNT(string(text))
	return err
}

// Type is what a system is sold for.
type Type string

// The types of systems.
const (
	Client Type = "client"
	Server Type = "server"
)

// RecordKind is how a record is to be looked for.
type RecordKind string

// The kinds of records.
const (
	RecordUpdate  RecordKind = "update"  // a key that is there if the hotfix is installed
	RecordPackage RecordKind = "package" // packages of component based servicing, which have a state each
)

// Pattern is a version whose revision has digits that do not matter, as 6.0.6001.22xxx has.
type Pattern string

// valid reports whether it is such a version.
func (p Pattern) valid() bool {
	_, err := ParseVersion(strings.ReplaceAll(string(p), "x", "0"))
	return err == nil
}

// fits reports whether a version has the system and the build of the pattern.
func (p Pattern) fits(v Version) bool {
	return strings.HasPrefix(string(p), v.NT().String()+"."+strconv.Itoa(int(v[2]))+".")
}
