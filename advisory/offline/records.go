package offline

import (
	"errors"
	"strings"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
)

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
