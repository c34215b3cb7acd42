package weir

import (
	"fmt"
	"strings"
)

// Altitude is an exact non-negative decimal of unlimited precision, such as "180450" or "389998.99".
// It is compared as a decimal, never as a float. The zero value is altitude 0. Altitudes are immutable
// and comparable with ==, since they are kept in canonical form.
type Altitude struct {
	// whole has no leading zeros and is empty for 0; fraction has no trailing zeros.
	whole, fraction string
}

// ParseAltitude reads digits with an optional fraction. Leading zeros and trailing zeros of the fraction
// do not count: "0180450.10" and "180450.1" are the same altitude.
func ParseAltitude(s string) (Altitude, error) {
	whole, fraction, dot := strings.Cut(s, ".")
	if !digits(whole) || dot && !digits(fraction) {
		return Altitude{}, fmt.Errorf("altitude %q: not a decimal such as 180450 or 180450.5", s)
	}
	return Altitude{strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")}, nil
}

// MustAltitude is ParseAltitude for constants; it panics on a malformed one.
func MustAltitude(s string) Altitude {
	a, err := ParseAltitude(s)
	if err != nil {
		panic(err)
	}
	return a
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Compare returns -1, 0 or +1 as a is below, at or above b.
func (a Altitude) Compare(b Altitude) int {
	if d := len(a.whole) - len(b.whole); d != 0 {
		return sign(d)
	}
	if c := strings.Compare(a.whole, b.whole); c != 0 {
		return c
	}
	return strings.Compare(a.fraction, b.fraction)
}

func sign(d int) int {
	if d < 0 {
		return -1
	}
	return 1
}

// String returns the canonical form.
func (a Altitude) String() string {
	whole := a.whole
	if whole == "" {
		whole = "0"
	}
	if a.fraction == "" {
		return whole
	}
	return whole + "." + a.fraction
}

// MarshalText implements encoding.TextMarshaler.
func (a Altitude) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Altitude) UnmarshalText(text []byte) error {
	parsed, err := ParseAltitude(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}
