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
	if err := g.software(); err != nil {
		g.missing("the hive SOFTWARE", err)
	}
	if err := g.system(); err != nil {
		g.missing("the hive SYSTEM", err)
	}
}

func (g *gathering) software() error {
	h, shut, err := g.hive("software")
	if err != nil {
		return err
	}
	defer shut()
	at, err := h.Key(`Microsoft\Windows NT\CurrentVersion`)
	if err != nil {
		return fmt.Errorf(`key Microsoft\Windows NT\CurrentVersion: %w`, err)
	}
	r := values{key: at}
	s := advisory.System{
		Name: r.optional("ProductName"), ServicePack: r.optional("CSDVersion"), BuildLab: r.optional("BuildLabEx"),
	}
	s.NT, err = advisory.ParseNT(r.needed("CurrentVersion"))
	r.note("CurrentVersion", err)
	number := r.needed("CurrentBuildNumber")
	build, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		r.note("CurrentBuildNumber", fmt.Errorf("%q is no number of a build", number))
	}
	g.place(r.optional("SystemRoot"))
	if r.err != nil {
		return r.err
	}
	s.Build = uint16(build)
	g.e.System = s
	return g.records(h)
}

// values reads values of one key, and remembers the first that could not be read.
type values struct {
	key hive.Key
	err error
}

func (r *values) note(name string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (r *values) needed(name string) string {
	text, err := r.key.String(name)
	r.note(name, err)
	return text
}

func (r *values) optional(name string) string {
	text, err := r.key.String(name)
	if !errors.Is(err, hive.ErrAbsent) {
		r.note(name, err)
	}
	return text
}

// place says where the Windows directory was while the system ran.
func (g *gathering) place(systemRoot string) {
	drive, folder, known := strings.Cut(strings.ToLower(systemRoot), `:\`)
	if known {
		g.drive, g.folder = drive, strings.Trim(strings.ReplaceAll(folder, `\`, "/"), "/")
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
			return fmt.Errorf("records of %s: %w", g.a.ID, err)
		}
	}
	_, err := h.Key(servicing + `\RebootPending`)
	g.e.RestartPending = err == nil
	return absentIsRight(err)
}

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
	names, err := all.Keys()
	if err != nil {
		return err
	}
	for _, name := range names {
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		one, err := h.Key(servicing + `\Packages\` + name)
		if err != nil {
			return err
		}
		arch, version, _ := strings.Cut(name[len(prefix):], "~")
		version = version[strings.LastIndexByte(version, '~')+1:]
		if !strings.HasPrefix(version, g.e.System.NT.String()+".") {
			continue // It is of another system.
		}
		state, err := one.Number("CurrentState")
		if err != nil {
			return fmt.Errorf("%s: CurrentState: %w", name, err)
		}
		g.e.Packages = append(g.e.Packages, advisory.Package{Key: name, Arch: arch, State: packageState(state)})
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

func (g *gathering) system() error {
	h, shut, err := g.hive("system")
	if err != nil {
		return err
	}
	defer shut()
	chosen, err := h.Key("Select")
	if err != nil {
		return fmt.Errorf("key Select: %w", err)
	}
	current, err := chosen.Number("Current")
	if err != nil {
		return fmt.Errorf(`value Select\Current: %w`, err)
	}
	control := fmt.Sprintf(`ControlSet%03d\Control\`, current)
	options, err := h.Key(control + "ProductOptions")
	if err != nil {
		return fmt.Errorf("key %sProductOptions: %w", control, err)
	}
	kind, err := options.String("ProductType")
	if err != nil {
		return fmt.Errorf("value ProductType: %w", err)
	}
	switch strings.ToLower(kind) {
	case "winnt":
		g.e.System.Type = advisory.Client
	case "servernt", "lanmannt":
		g.e.System.Type = advisory.Server
	default:
		return fmt.Errorf("value ProductType: %q is not one of WinNT, ServerNT, LanmanNT", kind)
	}
	return g.renames(h, control+"Session Manager")
}
