// Package lastname is a filter that keeps something on files: the name that each had before its last rename.
package lastname

import (
	"context"
	"sync"

	"github.com/weirfs/weir"
)

// Names knows what files were called. It is safe for concurrent use.
type Names struct {
	mu    sync.Mutex
	hosts map[weir.VolumeID]weir.Host
}

// New makes one that knows nothing.
func New() *Names { return &Names{hosts: map[weir.VolumeID]weir.Host{}} }

// Filter returns what a manager registers. It needs a plane that intercepts.
func (n *Names) Filter() *weir.Filter {
	return &weir.Filter{
		Name:     "lastname",
		Altitude: weir.MustAltitude("365001"),
		Single:   true, // a file has one last name
		After:    weir.OpRename,
		Contexts: []weir.ContextKind{weir.ContextFile},
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.hosts[site.Volume.ID()] = site.Host
			return &instance{n, site}, nil
		},
	}
}

// Before returns the name that a file had before its last rename, or "".
func (n *Names) Before(volume weir.VolumeID, file weir.Handle) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	host := n.hosts[volume]
	if host == nil {
		return ""
	}
	former, err := host.Context(weir.ContextKey{Kind: weir.ContextFile, File: file})
	if err != nil {
		return ""
	}
	defer former.Release()
	return former.Value().(string)
}

// instance is the filter on one volume.
type instance struct {
	names *Names
	site  weir.Site
}

// Pre implements weir.Interceptor. It is not called: nothing is wanted Before.
func (*instance) Pre(context.Context, weir.Call) weir.PreStatus { return weir.PreContinue }

// Post implements weir.Interceptor. The context goes with the file, or with the instance.
func (in *instance) Post(_ context.Context, call weir.Call) weir.PostStatus {
	if call.Draining() || call.Result().Err != nil || call.Result().Object == "" {
		return weir.PostFinished // nobody knows what was renamed, if anything was
	}
	key := weir.ContextKey{Kind: weir.ContextFile, File: call.Result().Object}
	former, _, err := in.site.Host.SetContext(key, call.Parameters().Name, weir.ReplaceExisting)
	if err == nil {
		former.Release()
	}
	return weir.PostFinished
}

// Completed, Lost and Changed implement weir.Instance.
func (*instance) Completed([]weir.Operation) {}
func (*instance) Lost(string)                {}
func (*instance) Changed()                   {}

// Teardown implements weir.Instance.
func (in *instance) Teardown(context.Context, weir.TeardownReason) {
	in.names.mu.Lock()
	defer in.names.mu.Unlock()
	delete(in.names.hosts, in.site.Volume.ID())
}
