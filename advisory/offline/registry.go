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

const servicing = `Microsoft\Windows\CurrentVersion\Component Based Servicing`

// records finds what the registry says of the hotfix.
func (g *gathering) records(h *hive.Hive) error {
	for _, r := range g.a.Records {
		if r.NT != g.e.System.NT {
			continue
		}
		find := g.update
		if r.Kind == advisory.RecordPackage {
			find = g.packages
		}
		if err := find(h, r.Key); err != nil {
			return err
		}
	}
	_, err := h.Key(servicing + `\RebootPending`)
	g.e.RestartPending = err == nil
	return absentIsRight(err)
}

// absentIsRight returns an error unless it is that something is not there.
func absentIsRight(err error) error {
	if errors.Is(err, hive.ErrAbsent) {
		return nil
	}
	return err
}

func (g *gathering) update(h *hive.Hive, key string) error {
	if _, err := h.Key(key); err != nil {
		return absentIsRight(err)
	}
	g.e.Packages = append(g.e.Packages, advisory.Package{Key: key, State: advisory.Installed})
	return nil
}

// packages finds the packages whose names begin as is given.
func (g *gathering) packages(h *hive.Hive, prefix string) error {
	all, err := h.Key(servicing + `\Packages`)
	if err != nil {
		return absentIsRight(err)
	}
	keys, err := all.Keys()
	if err != nil {
		return err
	}
	for _, one := range keys {
		name := one.Name()
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		arch, version, _ := strings.Cut(name[len(prefix):], "~")
		version = version[strings.LastIndexByte(version, '~')+1:]
		if !strings.HasPrefix(version, g.e.System.NT.String()+".") {
			continue // It is of another system.
		}
		p := advisory.Package{Key: name, Arch: arch, State: advisory.UnreadState}
		if state, err := one.Number("CurrentState"); err != nil {
			g.missing("of the hive SOFTWARE something could not be read: %w", err)
		} else {
			p.State = packageState(state)
		}
		g.e.Packages = append(g.e.Packages, p)
	}
	return nil
}

// packageState tells what the number of a package's state means.
func packageState(n uint32) advisory.PackageState {
	switch n {
	case 0:
		return advisory.NotInstalled
	case 0x5:
		return advisory.UninstallPending
	case 0x40:
		return advisory.Staged
	case 0x50:
		return advisory.Superseded
	case 0x60:
		return advisory.InstallPending
	case 0x65:
		return advisory.Partial
	case 0x70:
		return advisory.Installed
	case 0x80:
		return advisory.Permanent
	}
	return advisory.OtherState
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
