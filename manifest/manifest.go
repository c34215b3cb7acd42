package manifest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/tomlfile"
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
	at, err := tomlfile.Decode(text, &d)
	if err != nil {
		return d, err
	}
	return d, d.check(at)
}

// check refuses what is no manifest, although it is well written.
func (d document) check(at *tomlfile.Text) error {
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
		row := fmt.Sprintf("instance[%d]", i)
		switch {
		case in.Name == "":
			return at.Errorf(row, "instance number %d has no name", i+1)
		case in.Altitude == nil:
			return at.Errorf(row, "instance %q has no altitude", in.Name)
		case names[in.Name]:
			return at.Errorf(row+".name", "there are two instances named %q", in.Name)
		}
		names[in.Name] = true
	}
	if d.Default != "" && !names[d.Default] {
		return at.Errorf("default", "the default is %q, and there is no instance of this name", d.Default)
	}
	return nil
}

// Of returns a copy of the filter that has the instances of the manifest, and no others.
func (m *Manifest) Of(f *weir.Filter) *weir.Filter {
	other := *f
	other.Instances, other.Altitude = m.Instances, m.Instances[0].Altitude
	return &other
}
