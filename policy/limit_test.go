package policy

import (
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

func TestParseBrake(t *testing.T) {
	for _, c := range []struct{ text, words string }{
		{"", "more than 50% of the files, and more than 1000, within an hour"},
		{"off", "no limit"},
		{"0", "more than 0 files within an hour"},
		{"1000", "more than 1000 files within an hour"},
		{"20%", "more than 20% of the files within an hour"},
		{"0%", "more than 0% of the files within an hour"},
		{"100%", "more than 100% of the files within an hour"},
	} {
		limit, err := ParseBrake(c.text)
		if err != nil || limit.Words() != c.words || limit.String() != c.text {
			t.Errorf("%q: %q %q %v", c.text, limit.Words(), limit, err)
		}
	}
	for _, text := range []string{"-1", "+1", "1.5", "101%", "%", "1%%", "on", " 1", "99999999999999999999", "٣"} {
		_, err := ParseBrake(text)
		if err == nil || weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), `"off"`) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestExceeded(t *testing.T) {
	for _, c := range []struct {
		limit      string
		lost, peak int64
		want       bool
	}{
		{"", 1000, 1000, false},
		{"", 1001, 1001, true},
		{"", 1001, 2001, true},
		{"", 1001, 2002, false},
		{"", 1001, 0, true},
		{"", 1<<62 - 1, 1<<63 - 1, false},
		{"", 1 << 62, 1<<63 - 1, true},
		{"off", 1 << 62, 1, false},
		{"0", 1, 100, true},
		{"5", 5, 5, false},
		{"5", 6, 1000, true},
		{"0%", 1, 1000, true},
		{"10%", 2, 25, false},
		{"10%", 3, 25, true},
		{"100%", 7, 7, false},
	} {
		limit, err := ParseBrake(c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := limit.exceeded(c.lost, c.peak); got != c.want {
			t.Errorf("limit %q, %d of %d: %v", c.limit, c.lost, c.peak, got)
		}
	}
}

func FuzzParseBrake(f *testing.F) {
	for _, text := range []string{"", "off", "1", "50%", "007"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := ParseBrake(text)
		if err != nil {
			return
		}
		if again, err := ParseBrake(limit.String()); err != nil || again != limit {
			t.Errorf("%q: %q reads as %v, %v", text, limit.String(), again, err)
		}
	})
}
