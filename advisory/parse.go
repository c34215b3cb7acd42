package advisory

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/tomlfile"
)

// MaxSize is how many bytes the file of an advisory may have.
const MaxSize = 256 << 10

// Parse reads an advisory. file is what errors name it by; they are of KindRefused, and say where in the text a fault is.
func Parse(file string, text []byte) (*Advisory, error) {
	a, err := decode(text)
	if err != nil {
		return nil, &weir.Error{
			Op: "read advisory", Kind: weir.KindRefused, Path: file, Err: err, Hint: "weir advisory show --toml KB975759 prints one that is well written",
		}
	}
	return a, nil
}

func decode(text []byte) (*Advisory, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	a := &Advisory{}
	at, err := tomlfile.Decode(text, a)
	if err != nil {
		return nil, err
	}
	c := checker{a: a, at: at}
	c.head()
	for i, p := range a.Products {
		c.product(fmt.Sprintf("product[%d]", i), i, p)
	}
	for i, u := range a.Unlisted {
		c.unlisted(fmt.Sprintf("unlisted[%d]", i), u)
	}
	for i, l := range a.Lines {
		c.line(fmt.Sprintf("line[%d]", i), l)
	}
	for i, b := range a.Branches {
		c.branch(fmt.Sprintf("branch[%d]", i), b)
	}
	for i, f := range a.Files {
		c.file(fmt.Sprintf("file[%d]", i), i, f)
	}
	c.rest()
	a.fill()
	return a, c.err
}

// checker finds the first thing that is wrong in an advisory that is well written.
type checker struct {
	a   *Advisory
	at  *tomlfile.Text
	err error
}

// want says what is wrong with a key, unless it is right.
func (c *checker) want(right bool, key, format string, args ...any) {
	if !right && c.err == nil {
		c.err = c.at.Errorf(key, format, args...)
	}
}

func (c *checker) text(key, text string) {
	c.want(strings.TrimSpace(text) != "", key, "%s says nothing", key)
	c.clean(key, text)
}

// clean refuses what a terminal might act on.
func (c *checker) clean(key string, texts ...string) {
	for _, text := range texts {
		c.want(!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), key, "%s has control characters", key)
	}
}

func (c *checker) head() {
	c.text("id", c.a.ID)
	named := !strings.ContainsFunc(c.a.ID, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-'
	})
	c.want(named, "id", "id %q is not made of letters, digits and -", c.a.ID)
	c.text("title", c.a.Title)
	c.text("symptom", c.a.Symptom)
	c.text("cause", c.a.Cause)
	c.clean("replaces", c.a.Replaces...)
	c.clean("sources", c.a.Sources...)
	c.clean("notes", c.a.Notes...)
	c.want(len(c.a.Products) > 0, "product", "it has no [[product]]")
	c.want(len(c.a.Lines) > 0, "line", "it has no [[line]]")
	c.want(len(c.a.Branches) > 0, "branch", "it has no [[branch]]")
	c.want(len(c.a.Components()) > 0, "file", "it has no [[file]] with a component, so that nothing can be decided")
}

func (c *checker) nt(key string, nt NT) { c.want(nt != NT{}, key, "%s says no nt", key) }

func (c *checker) kind(row string, t Type) {
	c.want(slices.Contains([]Type{"", Client, Server}, t), row+".type", "%q is not one of client, server", t)
}

func (c *checker) product(row string, i int, p Product) {
	c.text(row+".name", p.Name)
	c.nt(row, p.NT)
	c.want(p.Type != "", row, "product %q has no type", p.Name)
	c.kind(row, p.Type)
	c.want(len(p.ServicePacks) > 0, row, "product %q has no service_packs", p.Name)
	twin := slices.ContainsFunc(c.a.Products[:i], func(o Product) bool { return o.NT == p.NT && o.Type == p.Type })
	c.want(!twin, row, "there are two products for a %s of version %s", p.Type, p.NT)
	for i, sp := range p.ServicePacks {
		c.want(!slices.Contains(p.ServicePacks[:i], sp), row+".service_packs", "service pack %d stands there twice", sp)
		c.want(sp >= p.First, row+".first_service_pack", "product %q begins with service pack %d, after %d", p.Name, p.First, sp)
		known := slices.ContainsFunc(c.a.Lines, func(l Line) bool { return l.NT == p.NT && l.ServicePack == sp })
		c.want(known, row+".service_packs", "there is no [[line]] for service pack %d of %s", sp, p.NT)
	}
}

func (c *checker) unlisted(row string, u Unlisted) {
	c.text(row+".why", u.Why)
	c.kind(row, u.Type)
	c.want(u.NT != NT{} || u.From != NT{} || u.To != NT{}, row, "%s says neither nt nor nt_from nor nt_to", row)
	for _, p := range c.a.Products {
		c.want(!u.fits(p.NT, p.Type), row, "it fits the product %q, which is listed", p.Name)
	}
}

func (c *checker) line(row string, l Line) {
	c.nt(row, l.NT)
	c.want(len(l.Builds) > 0, row, "%s has no builds", row)
	has := func(f File) bool { return l.has(f.Version) && f.Component != "" }
	c.want(slices.ContainsFunc(c.a.Files, has), row, "there is no [[file]] with a component for these builds of %s", l.NT)
	same, builds := 0, map[uint16]int{}
	for _, other := range c.a.Lines {
		if other.NT != l.NT {
			continue
		}
		if other.ServicePack == l.ServicePack {
			same++
		}
		for _, build := range other.Builds {
			builds[build]++
		}
	}
	c.want(same < 2, row, "there are two lines for service pack %d of %s", l.ServicePack, l.NT)
	for _, build := range l.Builds {
		c.want(builds[build] < 2, row+".builds", "build %d of %s stands there twice", build, l.NT)
	}
}

func (c *checker) branch(row string, b Branch) {
	c.nt(row, b.NT)
	c.text(row+".name", b.Name)
	c.clean(row+".suffixes", b.Suffixes...)
	c.want((len(b.Suffixes) == 0) != (len(b.Revisions) == 0), row, "branch %q is told by suffixes or by revisions, one of them", b.Name)
	for _, suffix := range b.Suffixes {
		c.want(suffix == strings.ToLower(suffix), row+".suffixes", "suffix %q is not in lower case, in which it is compared", suffix)
	}
	for _, other := range c.a.Branches {
		apart := other.NT != b.NT || other.Name == b.Name || len(other.Revisions) != 2 || len(b.Revisions) != 2 || other.Revisions[1] < b.Revisions[0] || b.Revisions[1] < other.Revisions[0]
		shared := other.NT == b.NT && other.Name != b.Name && slices.ContainsFunc(b.Suffixes, func(s string) bool { return slices.Contains(other.Suffixes, s) })
		c.want(!shared, row+".suffixes", "a suffix of branch %q is also one of branch %q", b.Name, other.Name)
		c.want(apart, row+".revisions", "revisions of branch %q are also those of branch %q", b.Name, other.Name)
	}
	ordered := len(b.Revisions) == 0 || len(b.Revisions) == 2 && b.Revisions[0] <= b.Revisions[1]
	c.want(ordered, row+".revisions", "revisions are two numbers, the first and the last one")
}

func (c *checker) file(row string, i int, f File) {
	c.text(row+".name", f.Name)
	c.clean(row, f.Component, f.Installed, f.Platform, f.ServicePack, f.Branch)
	local := fs.ValidPath(f.Installed) && strings.ToLower(f.Installed) == f.Installed && !strings.Contains(f.Installed, `\`)
	c.want(local, row+".installed", "installed %q is no path below the Windows directory, with / and in lower case", f.Installed)
	c.want(f.Machine != 0, row, "file %q has no machine", f.Name)
	c.want(f.Version != Version{}, row, "file %q has no version", f.Name)
	c.want(f.Size > 0, row+".size", "file %q has size %d, and it must be more than 0", f.Name, f.Size)
	c.want(!f.Built.IsZero(), row, "file %q does not say when it was built", f.Name)
	lined := slices.ContainsFunc(c.a.Lines, func(l Line) bool { return l.has(f.Version) })
	c.want(lined, row+".version", "there is no [[line]] with build %d of %s", f.Version[2], f.Version.NT())
	twin := slices.ContainsFunc(c.a.Files[:i], func(o File) bool {
		return o.Machine == f.Machine && o.Version == f.Version && strings.EqualFold(o.Name, f.Name)
	})
	c.one(row, i, f)
	c.want(!twin, row, "file %s of version %s stands there twice for %s", f.Name, f.Version, f.Machine)
}

// one wants that of what decides in one place there is one version for each line of builds, since it is what a file is measured by.
func (c *checker) one(row string, i int, f File) {
	for _, o := range c.a.Files[:i] {
		lined := slices.ContainsFunc(c.a.Lines, func(l Line) bool { return l.has(f.Version) && l.has(o.Version) })
		if lined && o.Machine == f.Machine && o.Installed == f.Installed && o.Component != "" && f.Component != "" {
			c.want(o.Version == f.Version, row+".version", "%s for %s is to have version %s, and by another [[file]] of the same [[line]] %s", f.Installed, f.Machine, f.Version, o.Version)
		}
	}
}

func (c *checker) rest() {
	for i, r := range c.a.Records {
		row := fmt.Sprintf("record[%d]", i)
		c.nt(row, r.NT)
		c.want(slices.Contains([]RecordKind{RecordUpdate, RecordPackage}, r.Kind), row+".kind", "%q is not one of update, package", r.Kind)
		c.text(row+".key", r.Key)
	}
	for i, n := range c.a.Numbering {
		row := fmt.Sprintf("numbering[%d]", i)
		c.want(n.Version.valid(), row+".version", "%q is not like 6.0.6001.22xxx", n.Version)
		c.clean(row, n.Product, n.Level, n.Branch)
	}
	for i, g := range c.a.Gaps {
		row := fmt.Sprintf("gap[%d]", i)
		c.nt(row, g.NT)
		c.want(g.Machine != 0, row, "%s has no machine", row)
		c.text(row+".why", g.Why)
	}
	for i, f := range c.a.FollowUps {
		row := fmt.Sprintf("follow_up[%d]", i)
		c.text(row+".id", f.ID)
		c.nt(row, f.NT)
		c.text(row+".why", f.Why)
	}
}
