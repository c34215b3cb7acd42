package manager_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// noting is a plane that notes what is wanted of it.
type noting struct {
	memory.Plane
	log log
}

// Attach implements weir.Plane.
func (p *noting) Attach(ctx context.Context, v weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	p.log.add("%s without %s", wants.Ops, wants.Skips)
	a, err := p.Plane.Attach(ctx, v, wants, sink)
	return notingAttachment{a, p}, err
}

type notingAttachment struct {
	weir.Attachment
	plane *noting
}

// Want implements weir.Attachment.
func (a notingAttachment) Want(ctx context.Context, wants weir.Demand) error {
	a.plane.log.add("%s without %s", wants.Ops, wants.Skips)
	return a.Attachment.Want(ctx, wants)
}

// TestPlaneIsAskedForWhatAnybodyNeeds has filters come and go that leave out different classes.
func TestPlaneIsAskedForWhatAnybodyNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, plane, discovery := new(log), new(noting), new(memory.Discovery)
		filter := func(name, altitude string, wants weir.Ops, skips weir.Skips) *weir.Filter {
			f := spyFilter(told, name, altitude, nil)
			f.Wants, f.Skips = wants, skips
			return f
		}
		m, err := manager.New(manager.Options{
			Discovery: discovery, Planes: []weir.Plane{plane}, Filters: []*weir.Filter{filter("files", "100", weir.OpCreate, weir.SkipDirs|weir.SkipOwn)},
		})
		check(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		asked := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := plane.log.take(); got != want {
				t.Errorf("the plane was asked for %q, want %q", got, want)
			}
		}
		synctest.Wait()
		discovery.Mount(memory.NewVolume(1, "/m"))
		asked("create without dirs|own")
		check(t, m.Start(filter("more", "200", weir.OpModify, weir.SkipDirs)))
		asked("create|modify without dirs")
		check(t, m.Start(filter("idle", "300", 0, 0)))
		asked("")
		check(t, m.Start(filter("all", "400", weir.OpCreate, 0)))
		asked("create|modify without ")
		check(t, m.Unload(t.Context(), "all", false, ""))
		asked("create|modify without dirs")
		check(t, m.Unload(t.Context(), "more", false, ""))
		asked("create without dirs|own")
		stop()
		check(t, <-ended)
	})
}
