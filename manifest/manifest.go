package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/weirfs/weir"
)

// MaxSize is how many bytes a manifest may have.
const MaxSize = 8 << 10

// Manifest is what an administrator says of one filter. It is not changed once it has been read.
type Manifest struct {
	Filter    string            // its name
	Instances []weir.Definition // at least one; the default one is the first
}

// document is a manifest as it is written.
type document struct {
	Filter   string     `toml:"filter"`
	Default  string     `toml:"default"`
	Instance []instance `toml:"instance"`
}

type instance struct {
	Name     string         `toml:"name"`
	Altitude *weir.Altitude `toml:"altitude"`
	Attach   weir.Attach    `toml:"attach"`
}

// Parse reads a manifest. file is what errors name it by; they are of KindRefused, and say where in the text a fault is that
// has a place there.
func Parse(file string, text []byte) (*Manifest, error) {
	d, err := decode(text)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return nil, &weir.Error{
			Op: "read manifest", Kind: weir.KindRefused, Path: file, Err: err, Hint: "weir load --help shows what one looks like",
		}
	}
	m := &Manifest{Filter: d.Filter}
	for _, in := range d.Instance {
		m.Instances = append(m.Instances, weir.Definition{Name: in.Name, Altitude: *in.Altitude, Attach: in.Attach})
	}
	i := max(slices.IndexFunc(m.Instances, func(def weir.Definition) bool { return def.Name == d.Default }), 0)
	first := m.Instances[i]
	m.Instances = slices.Insert(slices.Delete(m.Instances, i, i+1), 0, first)
	return m, nil
}

func decode(text []byte) (d document, err error) {
	if len(text) > MaxSize {
		return d, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	from := toml.NewDecoder(bytes.NewReader(text))
	from.DisallowUnknownFields()
	return d, placed(from.Decode(&d))
}

// placed says where in the text an error of the decoder is.
func placed(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		row, column := first.Position()
		return fmt.Errorf("line %d, column %d: there is no key %q", row, column, strings.Join(first.Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, column := bad.Position()
		why, _, _ := strings.Cut(strings.TrimPrefix(bad.Error(), "toml: "), " into ") // What follows are types of this program.
		return fmt.Errorf("line %d, column %d: %s", row, column, why)
	}
	return err
}

// check refuses what is no manifest, although it is well written.
func (d document) check() error {
	if d.Filter == "" {
		return errors.New("it does not name its filter")
	}
	if len(d.Instance) == 0 {
		return errors.New("it names no instance")
	}
	if d.Default == "" && len(d.Instance) > 1 {
		return fmt.Errorf("it does not say which of the %d instances is the default one", len(d.Instance))
	}
	names := map[string]bool{}
	for i, in := range d.Instance {
		switch {
		case in.Name == "":
			return fmt.Errorf("instance number %d has no name", i+1)
		case in.Altitude == nil:
			return fmt.Errorf("instance %q has no altitude", in.Name)
		case names[in.Name]:
			return fmt.Errorf("there are two instances named %q", in.Name)
		}
		names[in.Name] = true
	}
	if d.Default != "" && !names[d.Default] {
		return fmt.Errorf("the default is %q, and there is no instance of this name", d.Default)
	}
	return nil
}

// Of returns a copy of the filter that has the instances of the manifest, and no others.
func (m *Manifest) Of(f *weir.Filter) *weir.Filter {
	other := *f
	other.Instances, other.Altitude = m.Instances, m.Instances[0].Altitude
	return &other
}
