package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/weirfs/weir"
)

// retryLedger is how long the ledger waits before it writes again what could not be written.
const retryLedger = time.Second

// keepLedger has what the ledger could not write written as soon as that is possible, and tells once when it begins to lack
// something, and when it lacks nothing any more.
func (m *Mirror) keepLedger(ctx context.Context) error {
	ticker := time.NewTicker(retryLedger)
	defer ticker.Stop()
	file, behind := weir.LogPath(m.ledger.Path()), false
	for {
		err := m.ledger.Retry()
		switch {
		case err != nil && !behind:
			m.options.Logger.Error("the ledger cannot be written; that is tried again", "file", file, "error", err)
		case err == nil && behind:
			m.options.Logger.Info("the ledger is written again", "file", file)
		}
		behind = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Troubles implements control.Engine.
func (c controlled) Troubles() (list []string) {
	todo := "make room for the state directory " + weir.QuotePath(c.mirror.options.State) + ", or see to its disk; it goes on by itself then"
	if err := c.mirror.ledger.Health(); err != nil {
		list = append(list, fmt.Sprintf("the ledger cannot be written, so that its newest gaps would be lost if weir ended now: %v; %s", err, todo))
	}
	if err := c.mirror.index.Health(); err != nil {
		list = append(list, fmt.Sprintf("the index cannot be written, so that nothing is replicated: %v; %s", err, todo))
	}
	return list
}
