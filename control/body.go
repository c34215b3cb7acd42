package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// decode fills into, a flat structure, with a body: one JSON object with fields that into has, each once. What encoding/json
// lets pass beyond that is refused: a name in another case, of which nobody says that it means the same, and a field that is
// there twice, of which one would be ignored.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.Decode(new(json.RawMessage)) != io.EOF {
		return errors.New("something follows the object")
	}
	names, err := namesIn(body)
	if err != nil {
		return err
	}
	known := fieldsOf(into)
	for i, name := range names {
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("unknown field %q", name)
		case slices.Contains(names[:i], name):
			return fmt.Errorf("the field %q is there more than once", name)
		}
	}
	return nil
}

// namesIn lists the names of the fields of an object, as they are written.
func namesIn(object []byte) (names []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it is no object"))
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprint(name))
	}
	return names, nil
}

// fieldsOf lists the names that the fields of a structure have in JSON.
func fieldsOf(into any) (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeOf(into).Elem()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
