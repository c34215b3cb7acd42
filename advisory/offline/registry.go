package offline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
)

// registry reads both hives. What one has is needed for the other: where the Windows directory was when the system ran.
func (g *gathering) registry() {
	for _, part := range []struct {
		name string
		read func(*hive.Hive) error
	}{{"SOFTWARE", g.software}, {"SYSTEM", g.system}} {
		h, shut, err := g.hive(part.name)
		if err != nil {
			g.missing("the hive %s could not be read: %w", part.name, err)
			continue
		}
		if err := part.read(h); err != nil {
			g.missing("of the hive %s something could not be read: %w", part.name, err)
		}
		shut()
	}
}

func (g *gathering) software(h *hive.Hive) error {
	at, err := h.Key(`Microsoft\Windows NT\CurrentVersion`)
	if err != nil {
		return err
	}
	g.e.System.Name, g.e.System.BuildLab = g.optional(at, "ProductName"), g.optional(at, "BuildLabEx")
	g.place(g.optional(at, "SystemRoot"))
	version, err := at.String("CurrentVersion")
	if err != nil {
		return err
	}
	number, err := at.String("CurrentBuildNumber")
	if err != nil {
		return err
	}
	pack, err := at.String("CSDVersion")
	if absentIsRight(err) != nil {
		return err
	}
	nt, err := advisory.ParseNT(version)
	if err != nil {
		return fmt.Errorf("CurrentVersion: %w", err)
	}
	build, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("CurrentBuildNumber: %q is no number of a build", number)
	}
	g.e.System.NT, g.e.System.Build, g.e.System.ServicePack = nt, uint16(build), pack
	err = g.records(h)
	g.e.RecordsUnread = err != nil
	return err
}

// optional returns a text of the hive SOFTWARE without which it can be decided.
func (g *gathering) optional(key hive.Key, name string) string {
	text, err := key.String(name)
	if absentIsRight(err) != nil {
		g.missing("of the hive SOFTWARE something could not be read: %w", err)
	}
	return text
}

// place says where the Windows directory was while the system ran. Where the registry says another path than it has on the volume,
// it is not known what names mean: the one is a copy, or has been renamed.
func (g *gathering) place(systemRoot string) {
	drive, folder, known := strings.Cut(lower(systemRoot), `:\`)
	folder = strings.Trim(strings.ReplaceAll(folder, `\`, "/"), "/")
	if here := lower(g.windows); known && here != "." && !strings.HasSuffix("/"+folder, "/"+here) {
		g.e.Remarks = append(g.e.Remarks, fmt.Sprintf("the registry says that the Windows directory was %q, and here it is %q: what names of files in the registry mean is not known", systemRoot, g.windows))
		return
	}
	if known {
		g.drive, g.folder = drive, folder
	}
}

const controlSet = `ControlSet%03d\Control\`

func (g *gathering) system(h *hive.Hive) error {
	chosen, err := h.Key("Select")
	if err != nil {
		return err
	}
	current, err := chosen.Number("Current")
	if err != nil {
		return err
	}
	next, err := chosen.Number("Default")
	switch {
	case errors.Is(err, hive.ErrAbsent):
		next = current
	case err != nil:
		return err
	case next != current:
		g.e.Remarks = append(g.e.Remarks, fmt.Sprintf("the system starts the next time with control set %d, whose pending renames are looked at, and had %d the last time", next, current))
	}
	control := fmt.Sprintf(controlSet, current)
	options, err := h.Key(control + "ProductOptions")
	if err != nil {
		return err
	}
	kind, err := options.String("ProductType")
	if err != nil {
		return err
	}
	switch strings.ToLower(kind) {
	case "winnt":
		g.e.System.Type = advisory.Client
	case "servernt", "lanmannt":
		g.e.System.Type = advisory.Server
	default:
		return fmt.Errorf("ProductType: %q is not one of WinNT, ServerNT, LanmanNT", kind)
	}
	_, err = h.Key(strings.TrimSuffix(fmt.Sprintf(controlSet, next), `\`))
	if err == nil {
		err = g.renames(h, fmt.Sprintf(controlSet, next)+"Session Manager")
	}
	g.e.RenamesUnread = err != nil
	return err
}
