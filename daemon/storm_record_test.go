package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// stormGaps keeps a record of its own of what the mirror says about volumes: which were compared, and which left before.
type stormGaps struct {
	replicate.Gaps

	mu      sync.Mutex
	sources map[weir.VolumeID]string
	of      map[uint64]weir.VolumeID      // by gap
	scanned map[weir.VolumeID]bool        // whose first scan has ended
	early   map[weir.VolumeID]int         // gaps of volumes that left before; those of nobody knows which under 0
	marked  map[weir.VolumeID]time.Time   // when the first mark was in place
	waiting map[string]chan weir.VolumeID // who waits for the first scan of a source, on channels of one
}

func newStormGaps() *stormGaps {
	return &stormGaps{
		sources: map[weir.VolumeID]string{}, of: map[uint64]weir.VolumeID{}, scanned: map[weir.VolumeID]bool{},
		early: map[weir.VolumeID]int{}, marked: map[weir.VolumeID]time.Time{}, waiting: map[string]chan weir.VolumeID{},
	}
}

const leftEarly = "left before its scan ended"

func (g *stormGaps) OpenGap(v weir.VolumeInfo, filter string, from time.Time, cause string) (uint64, error) {
	id, err := g.Gaps.OpenGap(v, filter, from, cause)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of[id], g.sources[v.ID] = v.ID, v.Source
	if strings.HasPrefix(cause, leftEarly) {
		g.early[v.ID]++
	}
	return id, err
}

func (g *stormGaps) CloseGap(id uint64, by string) error {
	if !strings.Contains(by, leftEarly) {
		g.mu.Lock()
		g.scannedLocked(g.of[id])
		g.mu.Unlock()
	}
	return g.Gaps.CloseGap(id, by)
}

func (g *stormGaps) CloseGaps(v weir.VolumeInfo, filter string, began time.Time, by string) error {
	err := g.Gaps.CloseGaps(v, filter, began, by)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sources[v.ID] != "" {
		g.scannedLocked(v.ID)
	}
	return err
}

func (g *stormGaps) scannedLocked(id weir.VolumeID) {
	g.scanned[id] = true
	if waits := g.waiting[g.sources[id]]; waits != nil {
		select {
		case waits <- id:
		default:
		}
	}
}

// expect returns a channel on which the volume of that source comes when it is compared.
func (g *stormGaps) expect(source string) <-chan weir.VolumeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[source] = make(chan weir.VolumeID, 1)
	return g.waiting[source]
}

// stormPlane notes when each volume gets its first mark.
type stormPlane struct {
	weir.Plane
	gaps *stormGaps
}

func (p stormPlane) Attach(ctx context.Context, v weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	a, err := p.Plane.Attach(ctx, v, wants, sink)
	at := time.Now()
	p.gaps.mu.Lock()
	defer p.gaps.mu.Unlock()
	if _, twice := p.gaps.marked[v.ID()]; err == nil && !twice {
		p.gaps.marked[v.ID()] = at
	}
	return a, err
}

// latencies are the times from the return of each mount(2) to the mark.
func (g *stormGaps) latencies(mounted map[string]time.Time) (list []time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, at := range g.marked {
		if from, known := mounted[g.sources[id]]; known {
			list = append(list, max(0, at.Sub(from)))
		}
	}
	slices.Sort(list)
	return list
}

// stormCensus counts the instances of the filters of a storm.
type stormCensus struct {
	t  testing.TB
	mu sync.Mutex
	on map[string]map[weir.VolumeID]int // by filter: set-ups minus teardowns
}

// filter makes one that is told of everything and declines nothing.
func (c *stormCensus) filter(name, altitude string) *weir.Filter {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on[name] = map[weir.VolumeID]int{}
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude(altitude), Wants: weir.OpCreate,
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			c.count(name, site.Volume.ID(), 1)
			return &stormInstance{c, name, site.Volume.ID()}, nil
		},
	}
}

func (c *stormCensus) count(name string, volume weir.VolumeID, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on[name][volume] += by
	if n := c.on[name][volume]; n != 0 && n != 1 {
		c.t.Errorf("filter %s has %d instances on volume %d", name, n, volume)
	}
}

// live lists the volumes on which a filter has an instance.
func (c *stormCensus) live(name string) []weir.VolumeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []weir.VolumeID
	for _, v := range slices.Sorted(maps.Keys(c.on[name])) {
		if c.on[name][v] != 0 {
			list = append(list, v)
		}
	}
	return list
}

type stormInstance struct {
	census *stormCensus
	name   string
	volume weir.VolumeID
}

func (i *stormInstance) Completed([]weir.Operation) {}
func (i *stormInstance) Lost(string)                {}
func (i *stormInstance) Changed()                   {}
func (i *stormInstance) Teardown(context.Context, weir.TeardownReason) {
	i.census.count(i.name, i.volume, -1)
}
