package advisory

import "time"

// Evidence is what has been read of one installation.
type Evidence struct {
	System         System    `json:"system"`
	Files          []Found   `json:"files"`
	Packages       []Package `json:"packages,omitempty"` // records of the hotfix that are there
	Renames        []Rename  `json:"renames,omitempty"`  // which wait for the next start
	RestartPending bool      `json:"restart_pending"`    // component based servicing waits for a restart
	Missing        []string  `json:"missing,omitempty"`  // what could not be read, and why
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
	Version     Version   `json:"version"`
	FileVersion string    `json:"file_version"` // the string of that name, with the name of the build
	Original    string    `json:"original"`     // OriginalFilename
	Machine     Machine   `json:"machine"`
	Size        int64     `json:"size"` // in bytes
	Modified    time.Time `json:"modified"`
	Problem     string    `json:"problem,omitempty"` // why it could not be read; then the rest says nothing
}

// Package is a record of the hotfix.
type Package struct {
	Key   string       `json:"key"`
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
)

// Rename is a file that the next start puts in the place of another one.
type Rename struct {
	From string `json:"from"` // as the registry has it
	To   string `json:"to"`
	Over string `json:"over"` // the place it goes to, where the advisory has that; nothing else
	File *Found `json:"file"` // what is in it; nil if that could not be read
}
