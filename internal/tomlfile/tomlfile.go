// Package tomlfile reads what people have written in TOML, and says where in the text something is wrong.
package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Text is a document that has been read.
type Text struct{ places map[string]unstable.Position }

// Decode reads a document into a structure, and refuses keys that have no place there. Its errors begin with the line and
// the column, which count from 1.
func Decode(text []byte, into any) (*Text, error) {
	from := toml.NewDecoder(bytes.NewReader(text))
	from.DisallowUnknownFields()
	if err := from.Decode(into); err != nil {
		return nil, placed(err)
	}
	return &Text{places(text)}, nil
}

// Errorf returns an error about a key, as in file[2].size, or about a table, as in file[2]. Where there is none, the place
// is that of what it would be in: of the whole text the first.
func (t *Text) Errorf(key, format string, args ...any) error {
	for {
		if place, known := t.places[key]; known {
			return at(place.Line, place.Column, fmt.Errorf(format, args...))
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return at(1, 1, fmt.Errorf(format, args...))
		}
		key = key[:dot]
	}
}

func at(line, column int, err error) error {
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// placed says where in the text an error of the decoder is.
func placed(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, column := first.Position()
		return at(line, column, fmt.Errorf("there is no key %q", strings.Join(first.Key(), ".")))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, column := bad.Position()
		why, _, _ := strings.Cut(strings.TrimPrefix(bad.Error(), "toml: "), " into ") // What follows are types of this program.
		return at(line, column, errors.New(why))
	}
	return err
}

// places finds the keys and tables of a document that has been decoded.
func places(text []byte) map[string]unstable.Position {
	found, count, table := map[string]unstable.Position{}, map[string]int{}, ""
	p := &unstable.Parser{}
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		key, begins := "", unstable.Position{}
		for it := e.Key(); it.Next(); {
			if key == "" {
				begins = p.Shape(it.Node().Raw).Start
			}
			key += "." + string(it.Node().Data)
		}
		key = key[min(1, len(key)):]
		switch e.Kind {
		case unstable.ArrayTable:
			table = fmt.Sprintf("%s[%d]", key, count[key])
			count[key]++
			found[table] = begins
		case unstable.Table:
			table = key
			found[table] = begins
		case unstable.KeyValue:
			found[strings.TrimPrefix(table+"."+key, ".")] = begins
		}
	}
	return found
}
