package daemon

import (
	"os"
	"path/filepath"

	"github.com/weirfs/weir/volume"
)

// Claim is a checked mirror whose state directory this process has locked.
type Claim struct {
	options Options
	lock    *lock
}

// NewClaim checks what can be checked without writing anything but the state directory, and locks that. Another
// process that has it is named in an error of KindRefused.
func NewClaim(o Options) (*Claim, error) {
	o, _, err := check(o)
	if err != nil {
		return nil, err
	}
	held, err := takeLock(o.State)
	if err != nil {
		return nil, err
	}
	return &Claim{options: o, lock: held}, nil
}

// State returns the state directory.
func (c *Claim) State() string { return c.options.State }

// Close ends the claim. It may be called twice.
func (c *Claim) Close() error { return c.lock.release() }

// check makes the paths absolute, finds the state directory, and refuses what no mirror may be.
func check(o Options) (Options, *volume.Watcher, error) {
	if err := checkRights(); err != nil {
		return o, nil, err
	}
	source, exists, err := resolveSource(o.Source)
	if err != nil {
		return o, nil, err
	}
	o.Source = source
	targets := make([]string, len(o.Targets))
	for i, t := range o.Targets {
		if targets[i], err = resolveTarget(t); err != nil {
			return o, nil, err
		}
	}
	o.Targets = targets
	if o.State == "" {
		o.State = StateDir(source, targets)
	}
	if _, err := os.Stat(filepath.Join(o.State, indexDir)); !exists && err != nil {
		return o, nil, refuse("use source", o.Source, "it does not exist", "create it, or mount what it is on")
	}
	w := volume.New(volume.Options{Logger: o.Logger, Fallback: o.Fallback})
	return o, w, checkApart(w, o.Source, o.Targets)
}
