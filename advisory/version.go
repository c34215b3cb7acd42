package advisory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Version is the version of a file as its VS_FIXEDFILEINFO has it: major, minor, build, revision.
type Version [4]uint16

// ParseVersion reads four numbers with dots between them.
func ParseVersion(text string) (v Version, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != len(v) {
		return v, fmt.Errorf("version %q: it has not four numbers", text)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || part != strconv.FormatUint(n, 10) {
			return Version{}, fmt.Errorf("version %q: %q is no number from 0 to 65535", text, part)
		}
		v[i] = uint16(n)
	}
	return v, nil
}

// Compare returns a negative number if v is the older one, 0 if they are equal, and a positive number else.
func (v Version) Compare(other Version) int { return slices.Compare(v[:], other[:]) }

// NT returns the version of the system that the file is made for.
func (v Version) NT() NT { return NT(v[:2]) }

// String returns the four numbers with dots between them.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d.%d", v[0], v[1], v[2], v[3]) }

// MarshalText implements encoding.TextMarshaler.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Version) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVersion(string(text))
	return err
}

// Machine is the processor that an executable is for, as its header has it (IMAGE_FILE_MACHINE).
type Machine uint16

// The machines of the articles.
const (
	X86  Machine = 0x14c
	X64  Machine = 0x8664
	IA64 Machine = 0x200
)

// String returns the name of the machine as the articles have it.
func (m Machine) String() string {
	switch m {
	case X86:
		return "x86"
	case X64:
		return "x64"
	case IA64:
		return "IA-64"
	}
	return fmt.Sprintf("machine %#x", uint16(m))
}

// MarshalText implements encoding.TextMarshaler.
func (m Machine) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the name of one of the machines above.
func (m *Machine) UnmarshalText(text []byte) error {
	all := []Machine{X86, X64, IA64}
	i := slices.IndexFunc(all, func(m Machine) bool { return m.String() == string(text) })
	if i < 0 {
		return fmt.Errorf("%q is not one of x86, x64, IA-64", text)
	}
	*m = all[i]
	return nil
}
