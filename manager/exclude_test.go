package manager_test

import (
	"testing"
	"testing/synctest"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
)

// TestExclusionFollowsTheVolume moves a volume to a place that is excluded, and away from it; what somebody has asked for by
// hand stays.
func TestExclusionFollowsTheVolume(t *testing.T) {
	options := func(o *manager.Options) {
		o.Exclude = func(info weir.VolumeInfo) string {
			for _, m := range info.Mounts {
				if m.Point == "/off" {
					return "by somebody"
				}
			}
			return ""
		}
	}
	simulateWith(t, func(l *log) []*weir.Filter { return []*weir.Filter{spyFilter(l, "f", "100", nil)} }, options, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.wantState(t, "f", 1, "attached")
		b.discovery.Remount(v, "/off")
		b.wantState(t, "f", 1, "excluded")
		b.want(t, "f@1: setup 1", "f@1: teardown 4")
		snapshot := b.Snapshot()
		if got := snapshot.Slot("f", 1).Why; got != "by somebody" {
			t.Errorf("why: %q", got)
		}
		if x := snapshot.Volumes[0].Excluded; x.Why != "by somebody" || x.Since.IsZero() {
			t.Errorf("the volume is excluded: %+v", x)
		}
		b.discovery.Remount(v, "/on")
		b.wantState(t, "f", 1, "attached")
		if x := b.Snapshot().Volumes[0].Excluded; x != (manager.Exclusion{}) {
			t.Errorf("the volume is excluded: %+v", x)
		}
		b.discovery.Remount(v, "/off")
		b.wantState(t, "f", 1, "excluded")
		if err := b.Attach("f", "", 1); err != nil {
			t.Error(err)
		}
		b.wantState(t, "f", 1, "attached")
		b.discovery.Remount(v, "/off", "/there")
		synctest.Wait()
		b.wantState(t, "f", 1, "attached")
	})
}
