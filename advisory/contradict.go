package advisory

import (
	"cmp"
	"fmt"
	"slices"
)

// byRegistry decides by what the registry says of the system alone, unless its own build or one of the files is of another
// system that the article is about: a file counts more. machines are those that the system is made for, or nothing.
func (d *decision) byRegistry(v Verdict, machines []Machine, format string, args ...any) bool {
	const hint = "find out by winver, on the running system, which version, build and service pack it has, put right what is wrong in the registry, and check again"
	s := d.e.System
	if why := d.contradicted(machines); why != "" {
		return d.unknown(hint, "the registry says that this is build %d of version %s, a %s, and %s", s.Build, s.NT, cmp.Or(s.Type, "system"), why)
	}
	return d.is(v, format, args...)
}

// contradicted says what is of another system than the registry says; nothing if all that is known agrees.
func (d *decision) contradicted(machines []Machine) string {
	s := d.e.System
	for _, l := range d.a.Lines {
		if l.NT != s.NT && slices.Contains(l.Builds, s.Build) {
			return "that build is one of version " + l.NT.String()
		}
	}
	for _, f := range d.a.Files {
		found := d.e.At(f.Installed)
		switch {
		case f.Component == "" || found.Problem != "":
		case d.ofAnother(found.Version):
			return fmt.Sprintf("%s is of another system: version %s", f.Installed, found.Version)
		case len(machines) > 0 && !slices.Contains(machines, found.Machine):
			return fmt.Sprintf("%s is for %s, which that system was not made for", f.Installed, found.Machine)
		}
	}
	return ""
}

// ofAnother reports whether a file is of a product of the article that is not the system, or of another of its builds that the
// article has files of.
func (d *decision) ofAnother(v Version) bool {
	s := d.e.System
	if v.NT() != s.NT {
		return slices.ContainsFunc(d.a.Products, func(p Product) bool { return p.NT == v.NT() })
	}
	return v[2] != s.Build && slices.ContainsFunc(d.a.Lines, func(l Line) bool { return l.has(v) })
}
