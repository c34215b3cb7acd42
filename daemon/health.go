package daemon

import (
	"fmt"

	"github.com/weirfs/weir"
)

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
