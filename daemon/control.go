package daemon

import (
	"context"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
)

// controlled is a mirror as the control socket sees it.
type controlled struct {
	*manager.Manager
	mirror *Mirror
}

// Gaps implements control.Engine.
func (c controlled) Gaps() []ledger.Gap { return c.mirror.ledger.Gaps() }

// At implements control.Engine.
func (c controlled) At(path string) (weir.Volume, error) { return c.mirror.watcher.At(path) }

// serve answers on the control socket until ctx ends. A mirror works without it as well.
func (m *Mirror) serve(ctx context.Context) error {
	o := m.options
	server := control.NewServer(control.Options{
		Engine: controlled{m.manager, m}, State: o.State, Announce: o.Announce, Logger: o.Logger,
		What: "mirror " + weir.QuotePath(o.Source) + " to " + list(o.Targets),
	})
	if err := server.Run(ctx); err != nil {
		o.Logger.Warn("commands cannot ask this weir", "error", err)
	}
	return nil
}
