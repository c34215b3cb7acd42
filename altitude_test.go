package weir

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAltitudesCompareAsDecimals(t *testing.T) {
	order := []string{"0", "0.1", "0.10000000000000000000000000001", "0.2", "9", "10", "10.09", "10.1", "389998.99", "389999"}
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := MustAltitude(a).Compare(MustAltitude(b)); got != want {
				t.Errorf("%s to %s: %d, want %d", a, b, got, want)
			}
		}
	}
	if MustAltitude("007.50") != MustAltitude("7.5") || MustAltitude("0.0") != (Altitude{}) {
		t.Error("zeros that mean nothing make another altitude")
	}
}

func TestAltitudeRefusesWhatIsNoDecimal(t *testing.T) {
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1 ", "0x10", "1.2.3", "٣"} {
		if a, err := ParseAltitude(text); err == nil {
			t.Errorf("%q is read as %s", text, a)
		}
	}
}

func TestAltitudeTextIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := MustAltitude(rapid.StringMatching(`[0-9]{1,8}(\.[0-9]{1,8})?`).Draw(t, "altitude"))
		text, _ := a.MarshalText()
		var b Altitude
		if err := b.UnmarshalText(text); err != nil || a != b || a.Compare(b) != 0 {
			t.Fatalf("%s is read back as %s: %v", text, b, err)
		}
	})
}
