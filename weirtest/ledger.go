package weirtest

import (
	"errors"
	"os"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
)

// keep opens the ledger, in a directory of its own.
func (w *World) keep() (err error) {
	if w.state, err = os.MkdirTemp("", "weirtest"); err != nil {
		return err
	}
	w.ledger, err = ledger.Open(w.state)
	return err
}

// forget closes the ledger.
func (w *World) forget() error { return errors.Join(w.ledger.Close(), os.RemoveAll(w.state)) }

// Gaps lists what the ledger says that a filter has missed on a volume, the oldest first: intervals that are open, as
// `weir coverage` shows them, and those that are closed.
func (w *World) Gaps(filter string, v weir.Volume) (list []ledger.Gap) {
	w.Settle()
	for _, g := range w.ledger.Gaps() {
		if g.Filter == filter && g.On(w.ledger.Session(), v.Info()) {
			list = append(list, g)
		}
	}
	return list
}
