package fltmc

import "github.com/weirfs/weir"

// Listing is what the text has: of fltmc filters and fltmc volumes the last listing of each, since each is of everything; of
// fltmc instances the last one of everything and those after it of one filter or volume. Names are as printed.
type Listing struct {
	Filters   []Filter
	Instances []Instance
	Volumes   []Volume

	allFilters, allVolumes, allInstances bool // whether there is a listing of each, of everything
	scopes                               []scope
	changes                              []Contradiction // what was listed again, and differently
}

// scope is a listing of the instances of one filter or on one volume. Of the two the other is empty.
type scope struct{ filter, volume string }

// Filter is a line of fltmc filters.
type Filter struct {
	Line      int
	Name      string
	Instances int // how many it has; -1 if that is not printed
	Altitude  weir.Altitude
	Frame     string // a number; empty if not printed
	Legacy    bool   // it is no minifilter and has no instances
}

// Instance is a line of fltmc instances.
type Instance struct {
	Line     int
	Filter   string
	Volume   string // a letter, mount point or device; empty where fltmc prints no name
	Altitude weir.Altitude
	Name     string
	Frame    string
	Features string // supported features in hexadecimal digits; empty before Windows 8
	Detached bool   // the volume is
	Legacy   bool
}

// Volume is a line of fltmc volumes.
type Volume struct {
	Line       int    `json:"line"`
	DOS        string `json:"dos"`    // a letter or mount point; empty if it has none
	Device     string `json:"device"` // such as \Device\HarddiskVolume1
	FileSystem string `json:"file_system"`
	Detached   bool   `json:"detached"`
}

// Name returns how fltmc instances names the volume: by its letter or mount point, or else by its device.
func (v Volume) Name() string {
	if v.DOS != "" {
		return v.DOS
	}
	return v.Device
}
