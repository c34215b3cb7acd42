package replicate

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir/tree"
)

const stagers = 3

// stage looks at every queued name and copies new content into temporaries.
func (b *batch) stage() { b.stageFor(idle) }

// stageFor is stage, except that once it has copied something and has taken that long, it leaves the names to come.
func (b *batch) stageFor(patience time.Duration) {
	todo := b.finds[b.next:]
	few := len(todo) <= fewFiles
	begun := time.Now()
	var wg sync.WaitGroup
	var next atomic.Int64
	var copied atomic.Bool
	for range min(stagers, len(todo)) {
		wg.Go(func() {
			for b.s.err() == nil && !(copied.Load() && time.Since(begun) > patience) {
				i := next.Add(1)
				if i > int64(len(todo)) {
					return
				}
				f := todo[i-1]
				if f.copied == nil && !f.absent { // Neither a finished copy nor an absence that is known already.
					b.look(f)
					b.leads(f)
					b.copySmall(f, few)
				}
				if f.copied != nil && f.copied.temp != "" {
					copied.Store(true)
				}
			}
		})
	}
	wg.Wait()
	b.next += min(int(next.Load()), len(todo))
}

// pass hands the names that are not staged over to the next batch, with the source directories that they are in.
func (b *batch) pass(to *batch) {
	needed := make(map[*tree.Dir]bool)
	for _, f := range b.finds[b.next:] {
		needed[f.dir] = true
	}
	to.finds = append(to.finds, b.finds[b.next:]...)
	b.finds = b.finds[:b.next:b.next]
	b.opened = slices.DeleteFunc(b.opened, func(d *tree.Dir) bool {
		if needed[d] {
			to.own(d)
		}
		return needed[d]
	})
}
