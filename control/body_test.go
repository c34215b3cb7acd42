package control

import (
	"strings"
	"testing"
)

// TestBodiesAreReadExactly refuses what is not described: no field is taken for another one, and none is ignored.
func TestBodiesAreReadExactly(t *testing.T) {
	for body, want := range map[string]string{
		`{"filter":"f","volume":3}`:             "",
		`{}`:                                    "",
		`{"FILTER":"f"}`:                        `unknown field "FILTER"`,
		`{"filter":"f","Filter":"g"}`:           `unknown field "Filter"`,
		`{"filter":"f","filter":"g"}`:           `the field "filter" is there more than once`,
		`{"filter":"f","f\u0069lter":"g"}`:      `the field "filter" is there more than once`,
		`{"none":1}`:                            `unknown field "none"`,
		`null`:                                  "it is no object",
		`{"filter":"f"} {}`:                     "something follows the object",
		``:                                      "EOF",
		`{"filter":"f","volume":1,"volume":-1}`: "cannot unmarshal",
	} {
		var into AttachRequest
		switch err := decode([]byte(body), &into); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", body, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
