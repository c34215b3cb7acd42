package planetest

import (
	"context"
	"sync"
	"testing"

	"github.com/weirfs/weir"
)

// gate is a weir.Gate that a test looks into.
type gate struct {
	do func(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result

	mu     sync.Mutex
	passed []weir.Parameters // without Data
	gone   []weir.ContextKey
}

func (g *gate) Do(ctx context.Context, p *weir.Parameters, lower weir.Lower) weir.Result {
	g.mu.Lock()
	seen := *p
	seen.Data = nil
	g.passed = append(g.passed, seen)
	g.mu.Unlock()
	if g.do != nil {
		return g.do(ctx, p, lower)
	}
	return lower.Do(ctx, p)
}

func (g *gate) FileGone(object weir.Handle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = append(g.gone, weir.ContextKey{Kind: weir.ContextFile, File: object})
}

func (g *gate) OpenGone(open weir.OpenID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = append(g.gone, weir.ContextKey{Kind: weir.ContextOpen, Open: open})
}

// take returns what has passed, and forgets it.
func (g *gate) take() []weir.Parameters {
	g.mu.Lock()
	defer g.mu.Unlock()
	passed := g.passed
	g.passed = nil
	return passed
}

// told tells how often the gate was told of an end.
func (g *gate) told(key weir.ContextKey) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, gone := range g.gone {
		if gone == key {
			n++
		}
	}
	return n
}

// intercepted is a plane and a volume under test.
type intercepted struct {
	weir.Intercepting
	Volume
	open func(Volume, string) (File, error)
}

func (i *intercepted) gate(t *testing.T, altitude string, g *gate) weir.Interception {
	t.Helper()
	held, err := i.Intercept(t.Context(), i.Volume, weir.MustAltitude(altitude), g)
	must(t, err)
	return held
}

// write opens a file, writes and closes it.
func (i *intercepted) write(t *testing.T, name, content string) {
	t.Helper()
	f, err := i.open(i.Volume, name)
	must(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	must(t, err, f.Close())
}

func (i *intercepted) read(t *testing.T, name string) string {
	t.Helper()
	f, err := i.open(i.Volume, name)
	must(t, err)
	b := make([]byte, 100)
	n, err := f.ReadAt(b, 0)
	must(t, err, f.Close())
	return string(b[:n])
}
