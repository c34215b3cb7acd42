// Package guard is a filter that refuses: a file whose name ends in .keep is neither deleted, nor renamed, nor covered by
// another one.
package guard

import (
	"context"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
)

// Filter returns what a manager registers. It needs a plane that intercepts.
func Filter() *weir.Filter {
	return &weir.Filter{
		Name:     "guard",
		Altitude: weir.MustAltitude("305000"),
		Before:   weir.OpDelete | weir.OpRename,
		Setup: func(context.Context, weir.Site) (weir.Instance, error) {
			return &instance{}, nil
		},
	}
}

// instance is the filter on one volume. It keeps nothing.
type instance struct{}

// Pre implements weir.Interceptor.
func (*instance) Pre(_ context.Context, call weir.Call) weir.PreStatus {
	p := call.Parameters()
	if !kept(p.Name) && !kept(p.NewName) {
		return weir.PreContinue
	}
	call.Result().Err = syscall.EPERM
	return weir.PreComplete
}

func kept(name string) bool { return strings.HasSuffix(name, ".keep") }

// Post implements weir.Interceptor. It is not called: nothing is wanted After.
func (*instance) Post(context.Context, weir.Call) weir.PostStatus { return weir.PostFinished }

// Completed, Lost, Changed and Teardown implement weir.Instance.
func (*instance) Completed([]weir.Operation)                    {}
func (*instance) Lost(string)                                   {}
func (*instance) Changed()                                      {}
func (*instance) Teardown(context.Context, weir.TeardownReason) {}
