package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/volume"
)

// bench is a running manager over volumes in memory, with its server and a client of that.
type bench struct {
	*manager.Manager
	*Client
	t         *testing.T
	ledger    *ledger.Ledger
	discovery *memory.Discovery
	state     string
	logged    voltest.Output // by the server
	volumes   []*memory.Volume
	troubles  []string
	end       func() // ends server and manager; may be called twice
}

// Troubles implements Engine.
func (b *bench) Troubles() []string { return b.troubles }

// Gaps implements Engine.
func (b *bench) Gaps() ([]ledger.Gap, uint64, uint64) {
	return b.ledger.Gaps(), b.ledger.Dropped(), b.ledger.Session()
}

// Loadable implements Engine.
func (b *bench) Loadable() []string { return []string{"low", "spare"} }

// Load implements Engine.
func (b *bench) Load(name string, instances *manifest.Manifest) error {
	if name != "spare" {
		return &weir.Error{Op: "load filter", Kind: weir.KindRefused, Path: name, Err: errors.New("no such filter"), Hint: "load spare"}
	}
	spare := filter("spare", "400", everywhere)
	if instances != nil {
		spare = instances.Of(spare)
	}
	return b.Start(spare)
}

// Connect implements Engine.
func (b *bench) Connect(ctx context.Context, name string, peer weir.Peer, load bool) (*manager.Conversation, error) {
	if load && b.Snapshot().Filter(name) == nil {
		if err := b.Load(name, nil); err != nil {
			return nil, err
		}
	}
	return b.Manager.Connect(ctx, name, peer)
}

// Unload implements Engine.
func (b *bench) Unload(ctx context.Context, name string, mandatory bool, by string) error {
	if name == "low" && !mandatory {
		return &weir.Error{Op: "unload filter", Kind: weir.KindRefused, Path: name, Err: errors.New("it is needed"), Hint: "leave it"}
	}
	return b.Manager.Unload(ctx, name, mandatory, by)
}

// OutOfSight implements Engine.
func (b *bench) OutOfSight() []string { return []string{"A namespace is out of sight."} }

// Detached implements Engine.
func (b *bench) Detached() []volume.Detached {
	was := []weir.Mount{{Own: true, Root: "/", Point: "/odd\nplace"}}
	return []volume.Detached{{Info: weir.VolumeInfo{ID: 77, Source: "/dev/x\n", Former: 7, Was: was}, Left: time.Now()}}
}

// At implements Engine.
func (b *bench) At(path string) (weir.Volume, error) { return b.discovery.At(path) }

// Resolve implements Engine. In memory there are no links, and what ends in a slash is a directory.
func (b *bench) Resolve(_ context.Context, path string) (string, bool, error) {
	return filepath.Clean(path), strings.HasSuffix(path, "/"), nil
}

// Mount implements Engine.
func (b *bench) Mount(_ context.Context, wanted MountRequest, _ int) (Mounted, error) {
	if wanted.Device == "bad\n" {
		return Mounted{}, &weir.Error{Op: "mount", Kind: weir.KindRefused, Path: wanted.Device, Err: errors.New("it is bad"), Hint: "take another"}
	}
	return Mounted{Volume: 1, Dir: wanted.Dir, Instances: []string{"low"}, Troubles: []string{}}, nil
}

// idle is an instance that does nothing.
type idle struct{}

func (idle) Completed([]weir.Operation)                    {}
func (idle) Lost(string)                                   {}
func (idle) Changed()                                      {}
func (idle) Teardown(context.Context, weir.TeardownReason) {}

// filter is one whose set-up ends with an error, or without.
func filter(name, altitude string, setUp func(weir.VolumeInfo) error) *weir.Filter {
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude(altitude), Wants: weir.OpCreate,
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			return idle{}, setUp(site.Volume.Info())
		},
	}
}

func everywhere(weir.VolumeInfo) error { return nil }

// only has business on volumes of one source.
func only(source string) func(weir.VolumeInfo) error {
	return func(info weir.VolumeInfo) error {
		if info.Source != source {
			return fmt.Errorf("%w: it is not %s", weir.ErrDecline, source)
		}
		return nil
	}
}

func begin(t *testing.T, filters ...*weir.Filter) *bench {
	t.Helper()
	return beginIn(t, t.TempDir(), filters...)
}

func beginIn(t *testing.T, state string, filters ...*weir.Filter) *bench {
	t.Helper()
	b := &bench{t: t, discovery: new(memory.Discovery), state: state}
	var err error
	if b.ledger, err = ledger.Open(b.state); err != nil {
		t.Fatal(err)
	}
	b.Manager, err = manager.New(manager.Options{
		Discovery: b.discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: filters, Ledger: b.ledger,
		Exclude: func(info weir.VolumeInfo) string {
			if info.Source == "memory66" {
				return "by a test"
			}
			return ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := NewServer(Options{Engine: b, State: b.state, What: "test", Logger: slog.New(slog.NewTextHandler(&b.logged, nil))})
	var all sync.WaitGroup
	all.Go(func() { report(t, b.Run(ctx)) })
	all.Go(func() { report(t, server.Run(ctx)) })
	b.end = func() {
		cancel()
		all.Wait()
	}
	t.Cleanup(func() {
		b.end()
		report(t, b.ledger.Close())
	})
	b.Client = NewClient(SocketPath(b.state))
	b.await(func(manager.Snapshot) bool { return b.Get(t.Context(), "/v1/status", nil, nil) == nil })
	return b
}

func report(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// await waits until a snapshot is as it should be.
func (b *bench) await(holds func(manager.Snapshot) bool) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(b.Snapshot()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("it does not come to that: %+v", b.Snapshot())
		}
	}
}

// fails asks for something, and wants a refusal of that kind, whose text holds what.
func (b *bench) fails(kind weir.Kind, method, path string, body any) *weir.Error {
	b.t.Helper()
	err := b.Do(b.t.Context(), method, path, body, nil)
	var e *weir.Error
	if !errors.As(err, &e) || e.Kind != kind {
		b.t.Fatalf("%s %s: %v, want an error that is %s", method, path, err, kind)
	}
	return e
}
