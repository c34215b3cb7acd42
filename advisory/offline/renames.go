package offline

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
)

// renames reads which files the next start of the system puts in the place of others. They stand in pairs, from and to; what
// has no second name is deleted.
func (g *gathering) renames(h *hive.Hive, manager string) error {
	key, err := h.Key(manager)
	if err != nil {
		return absentIsRight(err)
	}
	for _, name := range []string{"PendingFileRenameOperations", "PendingFileRenameOperations2"} {
		list, err := key.Strings(name)
		if err != nil && absentIsRight(err) != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for pair := range slices.Chunk(list, 2) {
			if len(pair) == 2 && pair[1] != "" {
				g.rename(pair[0], pair[1])
			}
		}
	}
	return nil
}

// rename takes a pending rename down if it is over a file of the advisory.
func (g *gathering) rename(from, to string) {
	over, here := g.inWindows(to)
	if !here || !slices.Contains(g.a.Paths(), over) {
		return
	}
	r := advisory.Rename{From: from, To: to, Over: over}
	if at, here := g.inWindows(from); here {
		if f, _ := g.found(over, at); f.Problem == "" {
			r.File = &f
		}
	}
	g.e.Renames = append(g.e.Renames, r)
}

// inWindows returns the path below the Windows directory of what the registry names; it may lead out of that, and not of the
// volume. It reports false if that is on another volume, or cannot be told.
func (g *gathering) inWindows(name string) (at string, here bool) {
	name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "!"), `\`, "/"))
	if at, here = strings.CutPrefix(name, "/systemroot/"); here {
		return path.Clean(at), true
	}
	name = strings.TrimPrefix(name, "/??/")
	drive, at, named := strings.Cut(name, ":/")
	if !named || drive != g.drive || g.folder == "" {
		return "", false
	}
	if below, inside := strings.CutPrefix(at, g.folder+"/"); inside {
		return path.Clean(below), true
	}
	if g.windows == "." {
		return "", false // All that is known of the volume is this directory.
	}
	return path.Join("..", at), true
}
