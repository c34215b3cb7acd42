package advisory

import (
	"slices"
	"time"
)

// Evidence is what has been read of one installation.
type Evidence struct {
	System         System    `json:"system"`
	Files          []Found   `json:"files"`
	Packages       []Package `json:"packages,omitempty"` // records of the hotfix that are there
	Renames        []Rename  `json:"renames,omitempty"`  // which wait for the next start
	RenamesUnread  bool      `json:"renames_unread"`     // there may be others: Missing says why
	RecordsUnread  bool      `json:"records_unread"`     // likewise
	RestartPending bool      `json:"restart_pending"`    // component based servicing waits for a restart
	Missing        []string  `json:"missing,omitempty"`  // what could not be read, and why
	Hint           string    `json:"hint,omitempty"`     // what is to be done about that, unless it is to make it readable
	Remarks        []string  `json:"remarks,omitempty"`  // what makes the evidence less certain
}

// System is what the registry says of the system.
type System struct {
	Name        string `json:"name"`
	NT          NT     `json:"nt"`
	Build       uint16 `json:"build"`
	ServicePack string `json:"service_pack,omitempty"` // as in "Service Pack 2"; nothing if there is none
	BuildLab    string `json:"build_lab,omitempty"`
	Type        Type   `json:"type,omitempty"` // nothing if that is not known
}

// Found is a file of the system.
type Found struct {
	Installed   string    `json:"installed"` // where the advisory has it
	Path        string    `json:"path"`      // below the volume, as the names are there
	Version     Version   `json:"version,omitzero"`
	FileVersion string    `json:"file_version,omitzero"` // the string of that name, with the name of the build
	Original    string    `json:"original,omitzero"`     // OriginalFilename
	Machine     Machine   `json:"machine,omitzero"`
	Size        int64     `json:"size,omitzero"` // in bytes
	Modified    time.Time `json:"modified,omitzero"`
	Problem     string    `json:"problem,omitempty"` // why it could not be read; then the rest says nothing
	Hint        string    `json:"hint,omitempty"`    // what is to be done about the problem, unless it is to make the file readable
}

// Package is a record of the hotfix.
type Package struct {
	Key   string       `json:"key"`
	Arch  string       `json:"arch,omitempty"` // for which processor, in the words of package names; nothing if it does not say
	State PackageState `json:"state"`
}

// PackageState is how far the installation of a package has come.
type PackageState string

// The states of a package.
const (
	Installed        PackageState = "installed"
	Staged           PackageState = "staged"
	Superseded       PackageState = "superseded"
	InstallPending   PackageState = "install pending"
	UninstallPending PackageState = "uninstall pending"
	Partial          PackageState = "partially installed"
	Permanent        PackageState = "permanent"
	NotInstalled     PackageState = "absent"
	OtherState       PackageState = "in another state"
	UnreadState      PackageState = "in a state that could not be read"
)

// Rename is what the next start does to the place of a file of the advisory: of several the last that it can carry out.
type Rename struct {
	From string `json:"from"` // as the registry has it
	To   string `json:"to"`   // nothing if From is deleted
	Over string `json:"over"` // the place, as the advisory has it
	File Found  `json:"file"` // what is there then; its problem says why that is not known, or that nothing is
}

// At returns what was read of the file at a path of the advisory.
func (e Evidence) At(installed string) Found {
	i := slices.IndexFunc(e.Files, func(f Found) bool { return f.Installed == installed })
	if i < 0 {
		return Found{Installed: installed, Path: installed, Problem: "it was not looked for"}
	}
	return e.Files[i]
}
