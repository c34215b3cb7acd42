package advisory

import (
	"fmt"
	"slices"
	"strings"
)

// files finds the condition of each file that counts.
func (d *decision) files() bool {
	for _, row := range d.a.rows(d.arch, d.line) {
		if row.Component == "" || slices.ContainsFunc(d.f.Files, func(s State) bool { return s.Installed == row.Installed }) {
			continue
		}
		found, required := d.e.At(row.Installed), d.required(row.Installed)
		now := d.judge(found, required)
		s := State{
			Component: row.Component, Installed: row.Installed, Condition: now.condition, Branch: now.branch, Required: required, Why: now.why,
			Shipped: d.a.shipped(found), hint: now.hint,
		}
		if i := slices.IndexFunc(d.e.Renames, func(r Rename) bool { return r.Over == row.Installed }); i >= 0 {
			next := d.judge(d.e.Renames[i].File, required)
			s.Next, s.NextWhy, s.nextHint = next.condition, next.why, next.hint
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

// judgement is what can be said of a file. The hint is what is to be done if it is undetermined, as for decision.unknown.
type judgement struct{ condition, branch, why, hint string }

// judge says how it is with a file.
func (d *decision) judge(f Found, required Version) judgement {
	if f.Problem != "" {
		return judgement{undetermined, "", f.Problem, f.Hint}
	}
	if f.Machine != d.arch {
		why := fmt.Sprintf("it is for %s, and the system for %s", f.Machine, d.arch)
		return judgement{undetermined, "", why, "put the file of the system's processor in the place of " + f.Installed + ", and check again"}
	}
	if f.Original != "" && !d.a.names(f) {
		why := fmt.Sprintf("its version resource calls it %q, which is none of the files that belong there", f.Original)
		return judgement{undetermined, "", why, "find out how " + f.Installed + " has come there, put the system's own file in its place, and check again"}
	}
	if !d.line.has(f.Version) {
		return judgement{otherBuild, "", fmt.Sprintf("version %s is of another build than the system, %s.%d", f.Version, d.e.System.NT, d.e.System.Build), ""}
	}
	b, told := d.a.branch(f)
	if f.Version.Compare(required) < 0 {
		return judgement{notFixed, b.Name, fmt.Sprintf("version %s is before %s", f.Version, required), ""}
	}
	if told != "" {
		why := fmt.Sprintf("version %s is not before %s, but only some branches have the change: %s", f.Version, required, told)
		return judgement{undetermined, "", why, "find out by weir advisory catalog, with the catalog of the hotfix, whether " + f.Installed + " is one of its files"}
	}
	if !b.Mended {
		return judgement{notFixed, b.Name, fmt.Sprintf("version %s is of the branch %s, for which the article has no file", f.Version, b.Name), ""}
	}
	return judgement{fixed, b.Name, fmt.Sprintf("version %s of the branch %s is not before %s", f.Version, b.Name, required), ""}
}

// names reports whether a file is called, by its version resource, like one of the article's that are installed in its place.
func (a *Advisory) names(f Found) bool {
	return slices.ContainsFunc(a.Files, func(row File) bool {
		return row.Installed == f.Installed && strings.EqualFold(row.Name, f.Original)
	})
}

// branch returns the branch of a file, or what keeps that from being known.
func (a *Advisory) branch(f Found) (b Branch, unknown string) {
	suffix, why := suffixOf(f)
	for _, b := range a.Branches {
		switch {
		case b.NT != f.Version.NT():
		case len(b.Revisions) == 2 && f.Version[3] >= b.Revisions[0] && f.Version[3] <= b.Revisions[1]:
			return b, twoVersions(f)
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
	if why := twoVersions(f); why != "" {
		return "", why
	}
	_, build, named := strings.Cut(f.FileVersion, "(")
	build, _, _ = strings.Cut(build, ".")
	suffix = strings.ToLower(build[strings.LastIndexByte(build, '_')+1:])
	if !named || suffix == "" {
		return "", fmt.Sprintf("its FileVersion %q does not tell the branch", f.FileVersion)
	}
	return suffix, ""
}

// twoVersions says that the string FileVersion begins with another version than the one that decides, if it does.
func twoVersions(f Found) string {
	number, _, _ := strings.Cut(f.FileVersion, "(")
	if v, err := ParseVersion(strings.TrimSpace(number)); err == nil && v != f.Version {
		return fmt.Sprintf("its two versions, %s and %s, are not the same", f.Version, v)
	}
	return ""
}
