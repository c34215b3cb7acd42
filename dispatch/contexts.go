package dispatch

import (
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirfs/weir"
)

// Contexts are those of one instance, or the volume contexts of one filter on one volume.
type Contexts struct {
	owner  string
	logger *slog.Logger
	alive  atomic.Int64 // contexts that have not been cleaned up

	mu    sync.Mutex
	held  map[weir.ContextKey]*held
	ended bool
}

// NewContexts makes an empty set. owner names it in what is logged.
func NewContexts(owner string, logger *slog.Logger) *Contexts {
	return &Contexts{owner: owner, logger: logger, held: map[weir.ContextKey]*held{}}
}

// held is one context.
type held struct {
	contexts   *Contexts
	key        weir.ContextKey
	value      any
	references atomic.Int64 // one of them is the object's
}

// Value implements weir.Context.
func (h *held) Value() any { return h.value }

// Release implements weir.Context.
func (h *held) Release() {
	switch n := h.references.Add(-1); {
	case n == 0:
		h.contexts.cleanUp(h)
	case n < 0:
		h.contexts.logger.Error("a context was released more often than it was taken", "owner", h.contexts.owner, "kind", h.key.Kind)
	}
}

func (c *Contexts) cleanUp(h *held) {
	defer func() {
		if p := recover(); p != nil {
			c.logger.Error("panic in Cleanup of a context", "owner", c.owner, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.alive.Add(-1)
	if cleaner, ok := h.value.(weir.Cleaner); ok {
		cleaner.Cleanup()
	}
}

// set puts a value on an object and returns what is there now, with a reference.
func (c *Contexts) set(key weir.ContextKey, value any, how weir.SetContext) (current *held, set bool, err error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, false, absent("set context", errEnded)
	}
	old := c.held[key]
	if old != nil && how == weir.KeepExisting {
		old.references.Add(1)
		c.mu.Unlock()
		return old, false, nil
	}
	current = &held{contexts: c, key: key, value: value}
	current.references.Store(2)
	c.alive.Add(1)
	c.held[key] = current
	c.mu.Unlock()
	if old != nil {
		old.Release()
	}
	return current, true, nil
}

// get returns the context of an object, with a reference, or nil.
func (c *Contexts) get(key weir.ContextKey) *held {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[key]
	if h != nil {
		h.references.Add(1)
	}
	return h
}

// drop takes a context off its object.
func (c *Contexts) drop(key weir.ContextKey) {
	c.mu.Lock()
	h := c.held[key]
	delete(c.held, key)
	c.mu.Unlock()
	if h != nil {
		h.Release()
	}
}

// End takes all contexts off their objects, and lets no more be set.
func (c *Contexts) End() {
	c.mu.Lock()
	list := slices.Collect(maps.Values(c.held))
	c.held, c.ended = nil, true
	c.mu.Unlock()
	for _, h := range list {
		h.Release()
	}
	if n := c.alive.Load(); n > 0 {
		c.logger.Warn("contexts are still referenced after their instance has ended", "owner", c.owner, "contexts", n)
	}
}

// SetContext implements weir.Host.
func (h host) SetContext(key weir.ContextKey, value any, how weir.SetContext) (weir.Context, bool, error) {
	contexts, err := h.contextsOf(key)
	if err != nil {
		return nil, false, err
	}
	if h.gone(key) {
		return nil, false, absent("set context", fmt.Errorf("the %s is no more", key.Kind))
	}
	current, set, err := contexts.set(key, value, how)
	if err != nil {
		return nil, false, err
	}
	if h.gone(key) { // meanwhile, and nobody may tell of it again
		contexts.drop(key)
	}
	return current, set, nil
}

// Context implements weir.Host.
func (h host) Context(key weir.ContextKey) (weir.Context, error) {
	contexts, err := h.contextsOf(key)
	if err != nil {
		return nil, err
	}
	if current := contexts.get(key); current != nil {
		return current, nil
	}
	return nil, absent("get context", fmt.Errorf("the %s has none", key.Kind))
}

// DropContext implements weir.Host.
func (h host) DropContext(key weir.ContextKey) {
	if contexts, err := h.contextsOf(key); err == nil {
		contexts.drop(key)
	}
}
