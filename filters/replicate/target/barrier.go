package target

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoRoom says that a barrier could not begin for want of room.
var ErrNoRoom = errors.New("the target has no room for the record of what is durable on it")

// Advance makes everything that was shown until now durable and returns how long the sync took. h must
// have been opened before the first of the writes, so that an error of writeback is reported to it.
func (t *Target) Advance(h *Hold) (time.Duration, error) {
	t.barrierMu.Lock()
	defer t.barrierMu.Unlock()
	t.mu.Lock()
	t.writing = t.generation + 1
	next := t.writing
	t.mu.Unlock()
	if err := writeGeneration(h.hidden, next); Full(err) {
		return 0, ErrNoRoom
	} else if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := h.Root.Syncfs(); err != nil {
		return 0, err
	}
	t.mu.Lock()
	t.generation = next
	t.mu.Unlock()
	return time.Since(start), t.options.Index.SetMeta(t.generationKey(), fmt.Append(nil, next))
}
