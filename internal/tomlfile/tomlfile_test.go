package tomlfile

import (
	"strings"
	"testing"
)

type document struct {
	Name string
	Row  []struct {
		Size int
		Text string
	}
}

func TestFaultsHavePlaces(t *testing.T) {
	for text, want := range map[string]string{
		"colour = 1":                        `line 1, column 1: there is no key "colour"`,
		"name = 'a'\n[[row]]\n  colour = 1": `line 3, column 3: there is no key "row.colour"`,
		"name = 1":                          "line 1, column 8: cannot decode TOML integer",
		"\n\nname":                          "line 3, column 4: expected",
	} {
		if _, err := Decode([]byte(text), &document{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestKeysHavePlaces(t *testing.T) {
	text, err := Decode([]byte("name = 'a'\n[[row]]\nsize = 1\n# [[row]]\n[[ row ]]\n text = '''\n[[row]]\n''' \n  size = 2\n[[row]]"), &document{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"name":        "line 1, column 1: bad 7",
		"row[0]":      "line 2, column 3: bad 7",
		"row[0].size": "line 3, column 1: bad 7",
		"row[1].text": "line 6, column 2: bad 7",
		"row[1].size": "line 9, column 3: bad 7",
		"row[2].size": "line 10, column 3: bad 7",
		"row[3].size": "line 1, column 1: bad 7",
		"other":       "line 1, column 1: bad 7",
	} {
		if err := text.Errorf(key, "bad %d", 7); err.Error() != want {
			t.Errorf("%s: %v, want %s", key, err, want)
		}
	}
}
