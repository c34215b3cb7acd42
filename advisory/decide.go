package advisory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Decide says whether an installation is affected. The first rule that matches decides; what a file is counts more than what
// the registry says of it, and no date counts at all.
func (a *Advisory) Decide(e Evidence) Finding {
	d := &decision{a: a, e: e, f: Finding{Advisory: a.ID, Evidence: e}}
	for _, rule := range []func() bool{d.applies, d.servicePack, d.machine, d.files, d.complete, d.restart, d.mended} {
		if rule() {
			break
		}
	}
	d.advise()
	return d.f
}

// decision is one that is being made. Each of its rules reports whether it has decided.
type decision struct {
	a       *Advisory
	e       Evidence
	f       Finding
	product Product
	line    Line
	arch    Machine
	packs   string // the service packs that the hotfix can be installed on
}

func (d *decision) is(v Verdict, format string, args ...any) bool {
	d.f.Verdict = v
	d.f.Reasons = append(d.f.Reasons, fmt.Sprintf(format, args...))
	return true
}

// applies finds the product.
func (d *decision) applies() bool {
	s := d.e.System
	if (s.NT == NT{}) {
		return d.unknown("it is not known which system this is")
	}
	var same []Product
	for _, p := range d.a.Products {
		if p.NT == s.NT {
			same = append(same, p)
		}
	}
	if s.Type == "" && len(same) > 0 {
		return d.unknown("it is not known whether this is a client or a server")
	}
	if i := slices.IndexFunc(same, func(p Product) bool { return p.Type == s.Type }); i >= 0 {
		d.product = same[i]
		return false
	}
	for _, u := range d.a.Unlisted {
		if u.fits(s.NT, s.Type) {
			return d.is(NotApplicable, "%s", u.Why)
		}
	}
	return d.is(NotApplicable, "the article does not list version %s of the system", s.NT)
}

// unknown decides that nothing can be decided, and says what was missing.
func (d *decision) unknown(format string, args ...any) bool {
	d.is(Unknown, format, args...)
	d.f.Reasons = append(d.f.Reasons, d.e.Missing...)
	return true
}

// servicePack finds the line of builds.
func (d *decision) servicePack() bool {
	s := d.e.System
	level, known := servicePackOf(s.ServicePack)
	if !known {
		return d.unknown("service pack %q is not understood", s.ServicePack)
	}
	var names []string
	for _, sp := range d.product.ServicePacks {
		names = append(names, strconv.Itoa(sp))
	}
	d.packs = "Service Pack " + strings.Join(names, " or ")
	i := slices.IndexFunc(d.a.Lines, func(l Line) bool {
		return l.NT == s.NT && l.ServicePack == level && slices.Contains(l.Builds, s.Build)
	})
	switch {
	case i >= 0 && slices.Contains(d.product.ServicePacks, level):
		d.line = d.a.Lines[i]
		return false
	case level < slices.Min(d.product.ServicePacks) && !d.buildOfLater(level):
		return d.is(PrerequisiteMissing, "%s has %s, and the hotfix needs %s", d.product.Name, packName(level), d.packs)
	}
	return d.unknown("build %d of version %s with %s is none that the article knows", s.Build, s.NT, packName(level))
}

// buildOfLater reports whether the system has a build that only a later service pack has.
func (d *decision) buildOfLater(level int) (later bool) {
	for _, l := range d.a.Lines {
		if l.NT == d.e.System.NT && slices.Contains(l.Builds, d.e.System.Build) {
			later = d.buildTells() && l.ServicePack > level
		}
	}
	return later
}

// buildTells reports whether the service packs of the system have builds of their own, as they do since version 6.0.
func (d *decision) buildTells() bool { return d.e.System.NT.Compare(NT{6, 0}) >= 0 }

func packName(level int) string {
	if level == 0 {
		return "no service pack"
	}
	return "Service Pack " + strconv.Itoa(level)
}

// servicePackOf reads what CSDVersion says.
func servicePackOf(text string) (level int, known bool) {
	if text == "" {
		return 0, true
	}
	number, named := strings.CutPrefix(text, "Service Pack ")
	number, _, _ = strings.Cut(number, ",") // A candidate of a release has ", v.113" behind it.
	level, err := strconv.Atoi(number)
	return level, named && err == nil && level > 0
}

// machine finds out for which processor the system is, which the first component of the article tells.
func (d *decision) machine() bool {
	first := d.a.Components()[0]
	why := ""
	for _, f := range d.a.Files {
		found, _ := d.e.found(f.Installed)
		switch {
		case f.Component != first:
		case found.Problem != "":
			why = cmp.Or(found.Path, found.Installed) + ": " + found.Problem
		default:
			d.arch = found.Machine
		}
	}
	switch i := slices.IndexFunc(d.a.Gaps, func(g Gap) bool { return g.NT == d.e.System.NT && g.Machine == d.arch }); {
	case d.arch == 0:
		return d.unknown("%s; it tells the processor", why)
	case i >= 0:
		return d.unknown("%s", d.a.Gaps[i].Why)
	case len(d.a.rows(d.arch, d.line)) == 0:
		return d.unknown("the article has no files of %s for %s", d.product.Name, d.arch)
	}
	return false
}

// found returns what was read of the file at a path of the advisory.
func (e Evidence) found(installed string) (Found, bool) {
	i := slices.IndexFunc(e.Files, func(f Found) bool { return f.Installed == installed })
	if i < 0 {
		return Found{Installed: installed, Problem: "it was not looked for"}, false
	}
	return e.Files[i], true
}

// files finds the condition of each file that counts.
func (d *decision) files() bool {
	for _, row := range d.a.rows(d.arch, d.line) {
		if row.Component == "" || slices.ContainsFunc(d.f.Files, func(s State) bool { return s.Installed == row.Installed }) {
			continue
		}
		found, _ := d.e.found(row.Installed)
		s := State{Component: row.Component, Installed: row.Installed, Required: d.required(row.Installed)}
		s.Condition, s.Branch, s.Why = d.condition(found, s.Required)
		s.Shipped = d.a.shipped(found)
		if i := slices.IndexFunc(d.e.Renames, func(r Rename) bool { return r.Over == row.Installed }); i >= 0 {
			s.Next, _, s.NextWhy = d.condition(d.e.Renames[i].File, s.Required)
		}
		d.f.Files = append(d.f.Files, s)
	}
	return false
}

// required returns the version from which on a file has the change.
func (d *decision) required(installed string) (least Version) {
	for _, row := range d.a.rows(d.arch, d.line) {
		if row.Installed == installed && (least == Version{} || row.Version.Compare(least) < 0) {
			least = row.Version
		}
	}
	return least
}

// condition says how it is with a file.
func (d *decision) condition(f Found, required Version) (condition, branch, why string) {
	if f.Problem != "" {
		return undetermined, "", f.Problem
	}
	if f.Machine != d.arch {
		return undetermined, "", fmt.Sprintf("it is for %s, and the system for %s", f.Machine, d.arch)
	}
	if f.Original != "" && !d.a.names(f) {
		return undetermined, "", fmt.Sprintf("its version resource calls it %q, which is none of the files that belong there", f.Original)
	}
	if !d.line.has(f.Version) {
		return otherBuild, "", fmt.Sprintf("version %s is of another build than the system, %s.%d", f.Version, d.e.System.NT, d.e.System.Build)
	}
	b, told := d.a.branch(f)
	if f.Version.Compare(required) < 0 {
		return notFixed, b.Name, fmt.Sprintf("version %s is before %s", f.Version, required)
	}
	if told != "" {
		return undetermined, "", fmt.Sprintf("version %s is not before %s, but only some branches have the change: %s", f.Version, required, told)
	}
	if !b.Mended {
		return notFixed, b.Name, fmt.Sprintf("version %s is of the branch %s, for which the article has no file", f.Version, b.Name)
	}
	return fixed, b.Name, fmt.Sprintf("version %s of the branch %s is not before %s", f.Version, b.Name, required)
}

// names reports whether a file is called, by its version resource, like one of the article's that are part of the same.
func (a *Advisory) names(f Found) bool {
	i := slices.IndexFunc(a.Files, func(row File) bool { return row.Installed == f.Installed })
	return i >= 0 && slices.ContainsFunc(a.Files, func(row File) bool {
		return row.Component == a.Files[i].Component && strings.EqualFold(row.Name, f.Original)
	})
}

// branch returns the branch of a file, or what keeps that from being known.
func (a *Advisory) branch(f Found) (b Branch, unknown string) {
	suffix, why := suffixOf(f)
	for _, b := range a.Branches {
		switch {
		case b.NT != f.Version.NT():
		case len(b.Revisions) == 2 && f.Version[3] >= b.Revisions[0] && f.Version[3] <= b.Revisions[1]:
			return b, ""
		case len(b.Suffixes) == 0:
			why = fmt.Sprintf("no branch has revision %d", f.Version[3])
		case slices.Contains(b.Suffixes, suffix):
			return b, ""
		case suffix != "":
			why = fmt.Sprintf("no branch is called %q", suffix)
		}
	}
	return Branch{}, why
}

// suffixOf returns the last word of the build's name that is in the string FileVersion, as is qfe in
// "5.2.3790.4601 (srv03_sp2_qfe.091009-1259)".
func suffixOf(f Found) (suffix, unknown string) {
	number, build, named := strings.Cut(f.FileVersion, "(")
	if v, err := ParseVersion(strings.TrimSpace(number)); err == nil && v != f.Version {
		return "", fmt.Sprintf("its two versions, %s and %s, are not the same", f.Version, v)
	}
	build, _, _ = strings.Cut(build, ".")
	suffix = strings.ToLower(build[strings.LastIndexByte(build, '_')+1:])
	if !named || suffix == "" {
		return "", fmt.Sprintf("its FileVersion %q does not tell the branch", f.FileVersion)
	}
	return suffix, ""
}

// complete decides where a file could not be judged.
func (d *decision) complete() bool {
	for _, s := range d.f.Files {
		if s.Condition == undetermined {
			d.unknown("%s: %s", s.Installed, s.Why)
		}
		if s.Next == undetermined {
			d.unknown("%s is replaced when the system starts the next time, by what cannot be judged: %s", s.Installed, s.NextWhy)
		}
	}
	return d.f.Verdict == Unknown
}

// restart decides where everything that is not fixed will be, or what is fixed will not be, at the next start.
func (d *decision) restart() bool {
	open := d.count(func(s State) bool { return s.Condition != fixed })
	left := d.count(func(s State) bool { return cmp.Or(s.Next, s.Condition) != fixed })
	switch {
	case open > 0 && left == 0:
		return d.is(PendingRestart, "the files that are not fixed are replaced, by ones that are, when the system starts the next time")
	case open > 0 && d.recorded(InstallPending):
		return d.is(PendingRestart, "the hotfix is installed when the system starts the next time")
	case open == 0 && left > 0:
		return d.is(PendingRestart, "the files are fixed, and %d of the %d are replaced, by ones that are not, when the system starts the next time", left, len(d.f.Files))
	case open == 0 && d.recorded(UninstallPending):
		return d.is(PendingRestart, "the files are fixed, and the hotfix is removed when the system starts the next time")
	}
	return false
}

// recorded reports whether the registry has the hotfix, for the processor of the system, in one of the states.
func (d *decision) recorded(states ...PackageState) bool {
	arch := map[Machine]string{X86: "x86", X64: "amd64", IA64: "ia64"}[d.arch]
	return slices.ContainsFunc(d.e.Packages, func(p Package) bool {
		return (p.Arch == "" || strings.EqualFold(p.Arch, arch)) && slices.Contains(states, p.State)
	})
}

func (d *decision) count(which func(State) bool) (n int) {
	for _, s := range d.f.Files {
		if which(s) {
			n++
		}
	}
	return n
}

// mended decides by what the files are.
func (d *decision) mended() bool {
	good := d.count(func(s State) bool { return s.Condition == fixed })
	alien := d.count(func(s State) bool { return s.Condition == otherBuild })
	recorded := d.recorded(Installed, Permanent)
	switch {
	case good == len(d.f.Files) && recorded:
		return d.is(Fixed, "every file has the change, and the registry says that %s is installed", d.a.ID)
	case good == len(d.f.Files) && len(d.e.Packages) > 0:
		return d.is(Fixed, "every file has the change; the registry has %s as %s", d.a.ID, d.e.Packages[0].State)
	case good == len(d.f.Files):
		return d.is(Fixed, "every file has the change, by an update that came later: the registry has no record of %s itself", d.a.ID)
	case alien > 0:
		return d.is(Inconsistent, "%d of the %d files are not of the system's build: an update or a restore has not ended", alien, len(d.f.Files))
	case good > 0:
		return d.is(Inconsistent, "%d of the %d files have the change, and the others have it not", good, len(d.f.Files))
	case recorded:
		return d.is(Damaged, "the registry says that %s is installed, and no file has the change", d.a.ID)
	}
	return d.is(Affected, "no file has the change")
}
