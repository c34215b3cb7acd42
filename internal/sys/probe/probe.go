package probe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Feature is one thing that weir uses.
type Feature struct {
	Name    string `json:"name"`
	What    string `json:"what"`             // what it is for, a clause
	Kernel  string `json:"kernel,omitempty"` // the version that brought it; empty if that is not the question
	Needed  bool   `json:"needed"`           // whether mirror cannot run without it
	Without string `json:"without"`          // what weir does without it, a clause
}

// Result is what came of trying a feature.
type Result struct {
	Feature
	Works  bool   `json:"works"`
	Detail string `json:"detail,omitempty"` // a figure, or why it does not work
}

// trial is one feature and how it is tried.
type trial struct {
	Feature
	try func(*ground) (detail string, err error)
}

// All tries every feature.
func All() []Result {
	g := newGround()
	defer g.close()
	var results []Result
	for _, t := range trials() {
		results = append(results, t.run(g))
	}
	return results
}

// Needed tries the features that mirror cannot run without, and returns those that do not work.
func Needed() []Result {
	g := newGround()
	defer g.close()
	var missing []Result
	for _, t := range trials() {
		if t.Needed {
			if r := t.run(g); !r.Works {
				missing = append(missing, r)
			}
		}
	}
	return missing
}

// Try tries one feature by its name. It reports a name that is not known as not working.
func Try(name string) Result {
	g := newGround()
	defer g.close()
	for _, t := range trials() {
		if t.Name == name {
			return t.run(g)
		}
	}
	return Result{Feature: Feature{Name: name}, Detail: "no such probe"}
}

// Lacks reports whether the process has not got a capability, by its name as in capabilities(7). It looks at each call.
// One that is not probed counts as there.
func Lacks(capability string) bool {
	for _, t := range capabilities() {
		if t.Name == capability {
			_, err := t.try(nil)
			return err != nil
		}
	}
	return false
}

func (t trial) run(g *ground) Result {
	detail, err := t.try(g)
	if err != nil {
		detail = err.Error()
	}
	return Result{Feature: t.Feature, Works: err == nil, Detail: detail}
}

// Missing returns the needed features that do not work.
func Missing(results []Result) []Result {
	var missing []Result
	for _, r := range results {
		if r.Needed && !r.Works {
			missing = append(missing, r)
		}
	}
	return missing
}

// The lowest kernel that weir is tested on: that of Debian 12.
const (
	minimumMajor = 6
	minimumMinor = 1
)

// Release returns the kernel's release, as uname -r prints it.
func Release() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

func tryRelease(*ground) (string, error) {
	release, err := Release()
	if err != nil {
		return "", err
	}
	return release, checkRelease(release)
}

func checkRelease(release string) error {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("release %q is not understood", release)
	}
	if major < minimumMajor || major == minimumMajor && minor < minimumMinor {
		return fmt.Errorf("this is %s; weir is tested on %d.%d and later", release, minimumMajor, minimumMinor)
	}
	return nil
}
