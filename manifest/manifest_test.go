package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

const two = `
# comment
filter = "watch"
default = "low"

[[instance]]
name = "high"
altitude = "365000.500"
attach = "manual"

[[instance]]
name = "low"
altitude = 364999.10
`

func TestManifestIsRead(t *testing.T) {
	m, err := Parse("f", []byte(two))
	if err != nil {
		t.Fatal(err)
	}
	want := []weir.Definition{
		{Name: "low", Altitude: weir.MustAltitude("364999.1")},
		{Name: "high", Altitude: weir.MustAltitude("365000.5"), Attach: weir.AttachManual},
	}
	if m.Filter != "watch" || !slices.Equal(m.Instances, want) {
		t.Errorf("filter %s has %v, want %v", m.Filter, m.Instances, want)
	}
}

// What nobody has given a name is the default, if it is alone.
func TestOneInstanceIsTheDefault(t *testing.T) {
	m, err := Parse("f", []byte("filter='a'\n[[instance]]\nname='x'\naltitude='12'\nattach='automatic'"))
	if err != nil || len(m.Instances) != 1 || m.Instances[0] != (weir.Definition{Name: "x", Altitude: weir.MustAltitude("12"), Attach: weir.AttachAutomatic}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestBadManifestIsRefused(t *testing.T) {
	const good = "filter='a'\n[[instance]]\nname='x'\naltitude='12'\n"
	for text, want := range map[string]string{
		"":                      "it does not name its filter",
		"filter='a'":            "it names no instance",
		good + "colour='red'":   `line 5, column 1: there is no key "instance.colour"`,
		"colour=1\n" + good:     `line 1, column 1: there is no key "colour"`,
		good + "attach='often'": `line 5, column 8: "often" is not one of any, automatic, manual`,
		"filter='a'\n[[instance]]\nname='x'\naltitude='-1'": `line 4, column 10: altitude "-1": not a decimal`,
		"filter='a'\nfilter='b'":                            "line 2, column 1: key filter is already defined",
		"filter=1":                                          "line 1, column 8: cannot decode TOML integer; weir load --help",
		"filter='\xff'":                                     "line 1, column 9: invalid",
		"= 1":                                               "line 1, column 1: invalid character",
		"filter='a'\n[[instance]]\naltitude='12'":                        "instance number 1 has no name",
		"filter='a'\n[[instance]]\nname='x'":                             `instance "x" has no altitude`,
		good + "[[instance]]\nname='y'\naltitude='13'":                   "it does not say which of the 2 instances is the default one",
		"default='x'\n" + good + "[[instance]]\nname='x'\naltitude='13'": `there are two instances named "x"`,
		"default='z'\n" + good:                                           `the default is "z", and there is no instance of this name`,
		good + "#" + strings.Repeat("x", MaxSize):                        "it has more than 8192 bytes",
	} {
		m, err := Parse("/etc/a\nb.toml", []byte(text))
		if weir.KindOf(err) != weir.KindRefused || !strings.Contains(fmt.Sprint(err), want) || !strings.HasPrefix(fmt.Sprint(err), `read manifest "/etc/a\nb.toml": `) {
			t.Errorf("%.60q: %+v, error %v, want %s", text, m, err, want)
		}
	}
}

// The filter itself stays as it is: what is loaded without a manifest has its own instances again.
func TestFilterIsCopied(t *testing.T) {
	m, err := Parse("f", []byte(two))
	if err != nil {
		t.Fatal(err)
	}
	own := &weir.Filter{Name: "watch", Altitude: weir.MustAltitude("1"), Wants: weir.OpCreate, Scans: true}
	other := m.Of(own)
	if own.Altitude != weir.MustAltitude("1") || len(own.Instances) != 0 {
		t.Errorf("it has become %+v", own)
	}
	if other.Altitude != weir.MustAltitude("364999.1") || !slices.Equal(other.Definitions(), m.Instances) || other.Wants != own.Wants || !other.Scans {
		t.Errorf("the copy is %+v", other)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(two)
	f.Add("filter='a'\n[instance]\nname='x'\naltitude=0x1")
	f.Add("filter='a'\ninstance=[{name='x',altitude='1'},3]")
	f.Add("\xff= [[[")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("f", []byte(text))
		switch {
		case err != nil:
			if m != nil || weir.KindOf(err) != weir.KindRefused || err.Error() == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v, %q", m, err)
			}
		case m.Filter == "" || len(m.Instances) == 0 || len(text) > MaxSize:
			t.Errorf("%+v is taken for a manifest", m)
		default:
			if f := m.Of(new(weir.Filter)); f.Altitude != f.Instances[0].Altitude {
				t.Errorf("the default instance of %+v is not at its altitude", f)
			}
		}
	})
}
