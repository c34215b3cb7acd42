package offline

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

// named is what a name of the registry tells of a place.
type named struct {
	at       string // the path below the Windows directory, in lower case; it may lead out of that, and not out of ROOT
	away     string // why there is none: the place is elsewhere
	hint     string // and what is to be done about it
	doubt    string // why it is not known whether that path is meant, or what is done with it; nothing if it is
	replaces bool   // it is marked by !: what is there is to be replaced

	parts []string // of the path; nil if there is none
	begin begin    // where they do
}

// begin is where the parts of a path begin.
type begin int

const (
	atRoot    begin = iota // of its volume
	before                 // there, or before it: the first of them may be those of a device
	somewhere              // behind a link: in which directory is not known
)

// aliases are the names that directories of the object manager have, and what they stand for.
var aliases = [][2]string{{"/dosdevices/", "/??/"}, {"/global??/", "/??/"}, {"/??/global/", "/??/"}, {"/??/globalroot/", "/"}}

// named resolves a name as the system does that starts, as far as the disk tells.
func (q *queue) named(name string) named {
	bare := strings.TrimLeft(name, "!*0123456789")
	if !strings.HasPrefix(bare, `\`) {
		bare = name
	}
	n := q.placed(bare)
	switch marks := strings.TrimSuffix(name, bare); marks {
	case "":
	case "!":
		n.replaces = true
	default:
		n.doubt = fmt.Sprintf("what the mark %s means to this system is not known", marks)
	}
	return n
}

func (q *queue) placed(bare string) named {
	name := lower(strings.ReplaceAll(bare, `\`, "/"))
	for i := 0; i < len(aliases); i++ {
		if rest, found := strings.CutPrefix(name, aliases[i][0]); found {
			name, i = aliases[i][1]+rest, -1
		}
	}
	n := q.meant(name)
	switch {
	case n.away == otherVolume:
	case strings.Contains(bare, "/") || odd(name):
		// As the lenient would read it, since it may be taken so.
		if rest, found := strings.CutPrefix(name, "/systemroot/"); found {
			name = path.Join("/", q.folder) + "/" + rest
		}
		n = named{at: name, parts: cleaned(name), begin: before, doubt: cmp.Or(n.doubt, "what the system makes of such a name is not known")}
	case n.begin == before:
		n.parts = components(n.at)
	case n.at != "":
		n.parts = q.parts(n.at)
	}
	return n
}

const otherVolume = "is not on this volume"

// meant returns the place of a name that is written as the system writes them.
func (q *queue) meant(name string) named {
	if at, found := strings.CutPrefix(name, "/systemroot/"); found {
		return q.below(at)
	}
	unknown := named{at: name, begin: before, doubt: whichVolume}
	if q.folder == "" {
		return unknown
	}
	if rest, found := strings.CutPrefix(name, "/??/"); found {
		volume, at, _ := strings.Cut(rest, "/")
		same, known := volume == q.drive+":", len(volume) == 2 && volume[1] == ':'
		if strings.HasPrefix(volume, "volume{") {
			if same, known = q.volume(volume); !known {
				return q.doubtful(at)
			}
		}
		switch {
		case same:
			return q.beside(at)
		case known:
			return named{away: otherVolume}
		}
	}
	if rest, found := strings.CutPrefix(name, "/device/harddiskvolume"); found {
		_, at, _ := strings.Cut(rest, "/")
		return q.doubtful(at) // The numbers are given anew at each start.
	}
	return unknown
}

// odd reports whether a name has parts that a file of NT's cannot be called by, or that mean more than a name there: nothing, . and
// .., streams, wildcards, and spaces and dots at the end, which some interfaces take away. Which of them the file system takes,
// and for what, differs.
func odd(name string) bool {
	parts := components(name)
	for i, part := range parts {
		drive := i == 1 && parts[0] == "??" && len(part) == 2
		if part == "" || strings.TrimRight(part, " .") != part || strings.ContainsAny(part, `"<>|*`) || strings.ContainsRune(part, ':') && !drive ||
			strings.ContainsRune(part, '?') && part != "??" || strings.ContainsFunc(part, unicode.IsControl) {
			return true
		}
	}
	return false
}

// cleaned returns the parts of such a name as a lenient reader has them.
func cleaned(name string) []string {
	var parts []string
	for _, part := range components(path.Clean(name)) {
		part, _, _ = strings.Cut(part, ":")
		parts = append(parts, strings.TrimRight(part, " ."))
	}
	return parts
}

const whichVolume = "on which volume that is cannot be told"

// doubtful returns the place of a path on a volume that may be the one that has the Windows directory.
func (q *queue) doubtful(at string) named {
	n := q.beside(at)
	n.doubt = whichVolume
	return n
}

// beside returns the place of a path on the volume that has the Windows directory.
func (q *queue) beside(at string) named {
	below, err := filepath.Rel(q.folder, at)
	if err != nil {
		return named{away: "is no path of a volume"}
	}
	return q.below(below)
}

// below returns the place of a path below the Windows directory.
func (q *queue) below(at string) named {
	if whole := path.Join(q.windows, at); whole == ".." || strings.HasPrefix(whole, "../") {
		return named{away: "is outside the directory that was named", hint: "name the directory that the whole volume is mounted at, and check again"}
	}
	return named{at: at}
}

// volume reports whether a volume, as in "volume{...}", is the one that has the Windows directory, and whether that is known.
func (q *queue) volume(name string) (same, known bool) {
	windows, err := q.mounted.Bytes(`\DosDevices\` + q.drive + ":")
	other, failed := q.mounted.Bytes(`\??\` + name)
	return bytes.Equal(windows, other), err == nil && failed == nil
}

// parts are the components of a path below the Windows directory, from the root of the volume.
func (q *queue) parts(at string) []string {
	return components(path.Join("/", q.folder, at))
}

func components(at string) []string { return strings.Split(strings.TrimPrefix(at, "/"), "/") }
