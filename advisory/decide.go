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
	packs   string   // the service packs that the hotfix can be installed on
	hints   []string // what would make known what is not
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
		return d.unknown(d.e.Hint, "it is not known which system this is")
	}
	var same []Product
	for _, p := range d.a.Products {
		if p.NT == s.NT {
			same = append(same, p)
		}
	}
	if s.Type == "" && len(same) > 0 {
		return d.unknown(d.e.Hint, "it is not known whether this is a client or a server")
	}
	if i := slices.IndexFunc(same, func(p Product) bool { return p.Type == s.Type }); i >= 0 {
		d.product = same[i]
		return false
	}
	for _, u := range d.a.Unlisted {
		if u.fits(s.NT, s.Type) {
			return d.byRegistry(NotApplicable, u.Machines, "%s", u.Why)
		}
	}
	return d.byRegistry(NotApplicable, nil, "the article does not list version %s of the system", s.NT)
}

// unknown decides that nothing can be decided. The hint says what is to be done about it; nothing if it is enough to make
// readable what was missing.
func (d *decision) unknown(hint, format string, args ...any) bool {
	if hint = cmp.Or(hint, "make readable what was missing, and check again"); !slices.Contains(d.hints, hint) {
		d.hints = append(d.hints, hint)
	}
	return d.is(Unknown, format, args...)
}

// servicePack finds the line of builds.
func (d *decision) servicePack() bool {
	s := d.e.System
	const hint = "find out by winver, on the running system, which service pack it has; if one was not installed to its end, install it again, and check again"
	level, known := servicePackOf(s.ServicePack)
	if !known {
		return d.unknown(hint, "service pack %q is not understood", s.ServicePack)
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
	case level < d.product.First:
		return d.unknown(hint, "build %d with %s contradicts the system: %s has had %s from the first", s.Build, packName(level), d.product.Name, packName(d.product.First))
	case i >= 0 && slices.Contains(d.product.ServicePacks, level):
		d.line = d.a.Lines[i]
		return false
	case level < slices.Min(d.product.ServicePacks) && !d.buildOfLater(level):
		return d.byRegistry(PrerequisiteMissing, nil, "%s has %s, and the hotfix needs %s", d.product.Name, packName(level), d.packs)
	}
	return d.unknown(hint, "build %d of version %s with %s is none that the article knows", s.Build, s.NT, packName(level))
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
	why, hint := "", ""
	for _, f := range d.a.Files {
		found := d.e.At(f.Installed)
		switch {
		case f.Component != first:
		case found.Problem != "":
			why, hint = cmp.Or(found.Path, found.Installed)+": "+found.Problem, found.Hint
		default:
			d.arch = found.Machine
		}
	}
	switch i := slices.IndexFunc(d.a.Gaps, func(g Gap) bool { return g.NT == d.e.System.NT && g.Machine == d.arch }); {
	case d.arch == 0:
		return d.unknown(hint, "%s; it tells the processor", why)
	case i >= 0:
		return d.unknown("look the files up in the whole article, and name an advisory that has them with --data", "%s", d.a.Gaps[i].Why)
	case len(d.a.rows(d.arch, d.line)) == 0:
		return d.unknown("ask the vendor whether the hotfix is to be had for this processor", "the article has no files of %s for %s", d.product.Name, d.arch)
	}
	return false
}

// complete decides where a file could not be judged, or what the next start does to it.
func (d *decision) complete() bool {
	const start = "let the system start once, and check again"
	for _, s := range d.f.Files {
		if s.Condition == undetermined {
			d.unknown(s.hint, "%s: %s", s.Installed, s.Why)
		}
		if s.Next == undetermined {
			d.unknown(cmp.Or(s.nextHint, start), "%s cannot be judged as it is after the next start of the system: %s", s.Installed, s.NextWhy)
		}
	}
	if d.e.RenamesUnread {
		d.unknown(start, "what the next start of the system puts in the place of these files could not be read")
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

// records returns what the registry says of the hotfix for the processor of the system.
func (d *decision) records() []Package {
	arch := map[Machine]string{X86: "x86", X64: "amd64", IA64: "ia64"}[d.arch]
	return slices.DeleteFunc(slices.Clone(d.e.Packages), func(p Package) bool { return p.Arch != "" && !strings.EqualFold(p.Arch, arch) })
}

// recorded reports whether the registry has the hotfix in one of the states.
func (d *decision) recorded(states ...PackageState) bool {
	return slices.ContainsFunc(d.records(), func(p Package) bool { return slices.Contains(states, p.State) })
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
	case good == len(d.f.Files) && len(d.records()) > 0:
		return d.is(Fixed, "every file has the change; the registry has %s as %s", d.a.ID, d.records()[0].State)
	case good == len(d.f.Files) && d.e.RecordsUnread:
		return d.is(Fixed, "every file has the change; what the registry says of %s could not be read", d.a.ID)
	case good == len(d.f.Files):
		return d.is(Fixed, "every file has the change; the registry has no record of %s itself, as after a later update that has brought it", d.a.ID)
	case alien > 0:
		return d.is(Inconsistent, "%d of the %d files are not of the system's build: an update or a restore has not ended", alien, len(d.f.Files))
	case good > 0:
		return d.is(Inconsistent, "%d of the %d files have the change, and the others have it not", good, len(d.f.Files))
	case recorded:
		return d.is(Damaged, "the registry says that %s is installed, and no file has the change", d.a.ID)
	}
	return d.is(Affected, "no file has the change")
}
