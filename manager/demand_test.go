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
	filter := func(l *log, name, altitude string, wants weir.Ops, skips weir.Skips) *weir.Filter {
		f := spyFilter(l, name, altitude, nil)
		f.Wants, f.Skips = wants, skips
		return f
	}
	plane := new(noting)
	simulateWith(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{filter(l, "files", "100", weir.OpCreate, weir.SkipDirs|weir.SkipOwn)}
	}, func(o *manager.Options) { o.Planes = []weir.Plane{plane} }, func(t *testing.T, b *bench) {
		asked := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := plane.log.take(); got != want {
				t.Errorf("the plane was asked for %q, want %q", got, want)
			}
		}
		b.mount(1)
		asked("create without dirs|own")
		check(t, b.Start(filter(&b.log, "more", "200", weir.OpModify, weir.SkipDirs)))
		asked("create|modify without dirs")
		check(t, b.Start(filter(&b.log, "idle", "300", 0, 0)))
		asked("")
		check(t, b.Start(filter(&b.log, "all", "400", weir.OpCreate, 0)))
		asked("create|modify without ")
		check(t, b.Unload(t.Context(), "all", false, ""))
		asked("create|modify without dirs")
		check(t, b.Unload(t.Context(), "more", false, ""))
		asked("create without dirs|own")
	})
}
