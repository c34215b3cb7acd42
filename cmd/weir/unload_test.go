package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// one is as much of an engine as an unloading needs.
type one struct {
	control.Engine
	manager *manager.Manager
}

func (o one) Snapshot() manager.Snapshot { return o.manager.Snapshot() }
func (o one) Loadable() []string         { return []string{"keeps"} }
func (o one) Unload(ctx context.Context, filter string, mandatory bool, by string) error {
	return o.manager.Unload(ctx, filter, mandatory, by)
}

// quiet is an instance that does nothing.
type quiet struct{}

func (quiet) Completed([]weir.Operation)                    {}
func (quiet) Lost(string)                                   {}
func (quiet) Changed()                                      {}
func (quiet) Teardown(context.Context, weir.TeardownReason) {}

// Whoever unloads a filter politely is told what that waits for, and the log who has had it done by force.
func TestUnloadSaysWhatItWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		keep func(ctx context.Context, site weir.Site) (release func())
		want string
	}{
		"a hold": {func(_ context.Context, site weir.Site) func() {
			release, err := site.Host.Hold("copy")
			if err != nil {
				t.Error(err)
			}
			return release
		}, "it waits for instance keeps on volume 1 (/m): held by copy\n"},
		"a set-up": {func(context.Context, weir.Site) func() { return nil }, "it waits for instance keeps on volume 1 (/m): its set-up, which has not returned\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup, hang := make(chan func(), 1), make(chan struct{})
			f := &weir.Filter{Name: "keeps", Altitude: weir.MustAltitude("365000"), Wants: weir.OpCreate}
			f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
				release := c.keep(ctx, site)
				inSetup <- release
				if release == nil {
					<-hang
				}
				return quiet{}, nil
			}
			log, socket := serve(t, f)
			release := <-inSetup
			ended := make(chan string)
			go func() {
				status, out, errs := weirRun("unload", "keeps", "--socket", socket)
				ended <- strings.Repeat("!", status) + out + errs
			}()
			time.Sleep(2500 * time.Millisecond)
			select {
			case told := <-ended:
				t.Fatalf("it has not waited: %s", told)
			default:
			}
			if release != nil {
				release()
			}
			close(hang)
			if told := <-ended; !strings.HasPrefix(told, "filter keeps is unloaded\n") || strings.Count(told, c.want) != 1 {
				t.Errorf("told %q, want %q once", told, c.want)
			}
			if strings.Contains(log(), "by force") {
				t.Errorf("the log: %s", log())
			}
		})
	}
}

// A filter that is unloaded by force leaves a record of who did so.
func TestForceIsOnRecord(t *testing.T) {
	f := &weir.Filter{Name: "keeps", Altitude: weir.MustAltitude("365000"), Wants: weir.OpCreate}
	f.Setup = func(context.Context, weir.Site) (weir.Instance, error) { return quiet{}, nil }
	log, socket := serve(t, f)
	if status, _, errs := weirRun("unload", "keeps", "--force", "--socket", socket); status != 0 || errs != "" {
		t.Errorf("status %d: %s", status, errs)
	}
	record := `level=WARN msg="a filter was unloaded by force" filter=keeps by="`
	eventually(t, 10*time.Second, func() error {
		if text := log(); strings.Count(text, record) != 1 || !strings.Contains(text, fmt.Sprintf("process %d (", os.Getpid())) {
			return fmt.Errorf("the log: %s", text)
		}
		return nil
	})
}

// serve runs a manager with a filter and a volume, and its socket.
func serve(t *testing.T, f *weir.Filter) (log func() string, socket string) {
	t.Helper()
	text := new(voltest.Output)
	logger := slog.New(slog.NewTextHandler(text, nil))
	discovery := new(memory.Discovery)
	m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: []*weir.Filter{f}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	server := control.NewServer(control.Options{Engine: one{manager: m}, State: state, What: "test", Logger: logger})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(cancel)
	run := func(part func(context.Context) error) {
		all.Go(func() {
			if err := part(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	run(m.Run)
	run(server.Run)
	socket = control.SocketPath(state)
	eventually(t, 10*time.Second, func() error { return control.NewClient(socket).Get(t.Context(), "/v1/status", nil, nil) })
	discovery.Mount(memory.NewVolume(1, "/m"))
	return text.String, socket
}
