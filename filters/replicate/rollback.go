package replicate

import (
	"fmt"
	"strconv"
)

// A target that is found to be older than the index may hold anything under attributes that agree, so that content is
// compared in full. This is owed until it has ended, also after a restart: the target counts durably how often it was
// found so, and each unit notes up to which count it has compared.
const metaCompared = "compared"

func (u *unit) loadCompared() error {
	text, err := u.ix.Meta(metaCompared)
	if err != nil || text == nil {
		return err
	}
	if u.compared, err = strconv.ParseUint(string(text), 10, 64); err != nil {
		return fmt.Errorf("read %s of the index: %w", metaCompared, err)
	}
	u.walkedFor = u.compared
	return nil
}

// owesContent reports whether the target was found to be older than the index, and was not compared in full since.
func (u *unit) owesContent() bool {
	_, rollbacks := u.target.Epochs()
	return u.compared < rollbacks
}

// saveCompared notes that content has been compared, when the large files that the walk has met have been too.
func (u *unit) saveCompared() error {
	u.mu.Lock()
	busy := u.bulk.busyLocked() || len(u.staged) > 0 || u.owedLocked() > 0
	u.mu.Unlock()
	if busy || u.compared == u.walkedFor {
		return nil
	}
	b := u.ix.NewBatch()
	b.Meta(metaCompared, formatGen(u.walkedFor))
	u.compared = u.walkedFor
	return b.Commit(false)
}
