package manager_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// counter is a context's value.
type counter struct {
	log  *log
	name string
	n    int
}

func (c *counter) Cleanup() { c.log.add("cleanup %s %d", c.name, c.n) }

// counts counts operations in a context of the kind.
func counts(key func(c weir.Call) weir.ContextKey) func(*guard) {
	return func(g *guard) {
		g.post = func(g *guard, _ context.Context, c weir.Call) weir.PostStatus {
			if c.Draining() {
				return weir.PostFinished
			}
			k := key(c)
			current, _, err := g.site.Host.SetContext(k, &counter{log: g.log, name: k.Kind.String()}, weir.KeepExisting)
			if err != nil {
				g.log.add("%s: %v", c.Parameters().Op, err)
				return weir.PostFinished
			}
			current.Value().(*counter).n++
			current.Release()
			return weir.PostFinished
		}
	}
}

func TestContextsOfFilesAndOpens(t *testing.T) {
	for kind, key := range map[weir.ContextKind]func(c weir.Call) weir.ContextKey{
		weir.ContextFile: func(c weir.Call) weir.ContextKey {
			return weir.ContextKey{Kind: weir.ContextFile, File: c.Result().Object}
		},
		weir.ContextOpen: func(c weir.Call) weir.ContextKey {
			return weir.ContextKey{Kind: weir.ContextOpen, Open: max(c.Result().Open, c.Parameters().Open)}
		},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			withFilters(t, func(l *log) []*weir.Filter {
				f := guardFilter(l, "f", "100", counts(key))
				f.After = weir.OpOpen | weir.OpModify | weir.OpAccess
				return []*weir.Filter{f}
			}, func(t *testing.T, b *bench, v *memory.Volume) {
				_ = v.Create("a")
				f, err := v.Open("a")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt([]byte("x"), 0); err != nil {
					t.Error(err)
				}
				b.want(t)
				if err := v.Remove("a"); err != nil { // the open file keeps the inode
					t.Error(err)
				}
				if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
					t.Error(err)
				}
				b.want(t)
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				b.want(t, fmt.Sprintf("cleanup %s 3", kind))
				_ = v.Create("b")
				if err := v.Write("b"); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				b.log.take()
				_ = v.Create("c")
				if _, err := v.Open("c"); err != nil {
					t.Error(err)
				}
				if err := b.Unload(t.Context(), "f", false, ""); err != nil {
					t.Error(err)
				}
				if got := b.log.take(); !strings.HasPrefix(got, "f@1: teardown 2\ncleanup "+kind.String()) {
					t.Errorf("told:\n%s", got)
				}
			})
		})
	}
}

func TestInstancesOfAFilterShareVolumeContexts(t *testing.T) {
	withFilters(t, func(l *log) []*weir.Filter {
		f := guardFilter(l, "f", "100", counts(func(weir.Call) weir.ContextKey { return weir.ContextKey{Kind: weir.ContextVolume} }))
		f.Instances = []weir.Definition{{Name: "one", Altitude: weir.MustAltitude("100")}, {Name: "two", Altitude: weir.MustAltitude("200")}}
		return []*weir.Filter{f}
	}, func(t *testing.T, b *bench, v *memory.Volume) {
		_ = v.Create("a")
		if err := b.Detach(t.Context(), "f", "one", 1, "test"); err != nil {
			t.Fatal(err)
		}
		b.want(t, "one@1: teardown 1")
		_ = v.Create("b")
		if err := b.Detach(t.Context(), "f", "two", 1, "test"); err != nil {
			t.Fatal(err)
		}
		b.want(t, "two@1: teardown 1", "cleanup volume 3")
	})
}
