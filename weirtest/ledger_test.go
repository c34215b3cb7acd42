package weirtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/pend"
	"github.com/weirfs/weir/weirtest"
)

// scanner is a filter with Scans whose test does the scanning, by the host of the last instance.
type scanner struct{ host weir.Host }

func (s *scanner) filter() *weir.Filter {
	f := new(names).filter()
	f.Scans = true
	f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
		s.host = site.Host
		return new(names), nil
	}
	return f
}

// wantGaps compares the gaps of filter names, the oldest first, with lines of what caused and what closed them, and how
// many seconds they last.
func wantGaps(t *testing.T, gaps []ledger.Gap, lines ...string) {
	t.Helper()
	var got []string
	for _, g := range gaps {
		lasts := "goes on"
		if !g.Ended().IsZero() {
			lasts = fmt.Sprintf("%.0f s", g.Ended().Sub(g.From).Seconds())
		}
		got = append(got, fmt.Sprintf("%s, %s, closed by %q", g.Cause, lasts, g.ClosedBy))
	}
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("the gaps are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func TestAFilterThatScansClosesItsGaps(t *testing.T) {
	s := new(scanner)
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(s.host.Scanned(time.Now(), "the first scan"), w.Detach("names", "", v))
		time.Sleep(10 * time.Second)
		w.Must(w.Attach("names", "", v))
		const first = `mounted by another program: what happened before its mark was not seen, 0 s, closed by "the first scan"`
		wantGaps(t, w.Gaps("names", v), first, `detached by hand, goes on, closed by ""`)

		began := time.Now()
		time.Sleep(10 * time.Second) // the scan
		w.Must(s.host.Missed(time.Now().Add(-20*time.Second), "a queue of the filter was full"))
		w.Must(s.host.Scanned(began, "the second scan"))
		const second = `detached by hand, 20 s, closed by "the second scan"`
		wantGaps(t, w.Gaps("names", v), first, second, `a queue of the filter was full, 20 s, closed by ""`)

		time.Sleep(10 * time.Second)
		w.Must(s.host.Scanned(time.Now(), "the third scan"))
		wantGaps(t, w.Gaps("names", v), first, second, `a queue of the filter was full, 20 s, closed by "the third scan"`)
	}, s.filter())
}

func TestWhatIsMissedIsRefusedOrRecorded(t *testing.T) {
	s := new(scanner)
	weirtest.Run(t, func(w *weirtest.World) {
		w.Tolerate("use-after-teardown")
		v := w.Mount("/data")
		w.Tolerate("wrong-time")
		future := time.Now().Add(time.Hour)
		for what, err := range map[string]error{
			"no scan yet": s.host.Scanned(future, "a scan"), "no time of a scan": s.host.Scanned(time.Time{}, "a scan"), "not yet": s.host.Missed(future, "why"),
			"no cause": s.host.Missed(time.Now(), ""), "no time": s.host.Missed(time.Time{}, "why"), "no name": s.host.Scanned(time.Now(), ""),
		} {
			if weir.KindOf(err) != weir.KindRefused {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.Must(w.Detach("names", "", v))
		if err := s.host.Missed(time.Now(), "why"); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("Missed after the end: %v", err)
		}
		if err := s.host.Scanned(time.Now(), "a scan"); weir.KindOf(err) != weir.KindAbsent || len(w.Violations()) != 6 {
			t.Errorf("Scanned after the end: %v, violations %v", err, w.Violations())
		}
	}, s.filter())
}

// TestWhatCameBeforeAnInstanceIsAGap has a plane that takes its time, and a volume that nobody could use before.
func TestWhatCameBeforeAnInstanceIsAGap(t *testing.T) {
	for scans, closed := range map[bool]string{true: "", false: "attached; what was missed is not looked for"} {
		s := new(scanner)
		f := s.filter()
		f.Scans = scans
		weirtest.Run(t, func(w *weirtest.World) {
			there := w.MountAs("/there", func(i *weir.VolumeInfo) { i.Mounts[0].Coming = true })
			w.BeforeAttach(func(context.Context, weir.Volume) error { time.Sleep(3 * time.Second); return nil })
			v := w.Mount("/data")
			time.Sleep(time.Minute)
			w.Want("names", v, "attached")
			wantGaps(t, w.Gaps("names", v), fmt.Sprintf("mounted by another program: what happened before its mark was not seen, 3 s, closed by %q", closed))
			wantGaps(t, w.Gaps("names", there))
			if err := s.host.Scanned(time.Now(), "a scan"); scans != (err == nil) {
				t.Errorf("a filter with Scans %v has scanned: %v", scans, err)
			}
			w.Must(s.host.Missed(time.Now(), "why"))
			if gaps := w.Gaps("names", v); len(gaps) != 2 || gaps[1].Open() != scans {
				t.Errorf("gaps %+v", gaps)
			}
		}, f)
	}
}

func TestWhoIsStartedLaterHasMissedNothing(t *testing.T) {
	s := new(scanner)
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(w.Load(s.filter()))
		w.Want("names", v, "attached")
		wantGaps(t, w.Gaps("names", v))
	})
}

// TestAGapLastsUntilASetUpSucceeds: what comes between two attempts is told to neither.
func TestAGapLastsUntilASetUpSucceeds(t *testing.T) {
	s := new(scanner)
	weirtest.Run(t, func(w *weirtest.World) {
		w.BeforeSetup(func(context.Context, string, weir.Site) error { return errors.New("no") })
		v := w.Mount("/data")
		time.Sleep(30 * time.Millisecond)
		w.BeforeSetup(nil)
		time.Sleep(time.Minute)
		gaps := w.Gaps("names", v)
		if len(gaps) != 1 || gaps[0].Until.Sub(gaps[0].From) != 100*time.Millisecond {
			t.Errorf("gaps %+v", gaps)
		}
	}, s.filter())
}

// TestAScanInSetupClosesTheGap that is recorded only when Setup has returned.
func TestAScanInSetupClosesTheGap(t *testing.T) {
	f := new(scanner).filter()
	f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
		return new(names), site.Host.Scanned(time.Now(), "the scan in Setup")
	}
	weirtest.Run(t, func(w *weirtest.World) {
		const want = `mounted by another program: what happened before its mark was not seen, 0 s, closed by "the scan in Setup"`
		wantGaps(t, w.Gaps("names", w.Mount("/data")), want)
	}, f)
}

// jammed is a filter whose queue has room for one operation, and that decides about none.
type jammed struct {
	names
	queue *pend.Queue
}

func (j *jammed) Pre(ctx context.Context, call weir.Call) weir.PreStatus {
	return j.queue.Put(ctx, call)
}
func (j *jammed) Post(context.Context, weir.Call) weir.PostStatus { return weir.PostFinished }
func (j *jammed) TeardownStart(weir.TeardownReason)               { j.queue.Disable(pend.Pass) }

// TestWhatAFilterHadNoRoomForIsAGap where it has passed, and is counted where it has failed.
func TestWhatAFilterHadNoRoomForIsAGap(t *testing.T) {
	for fate, pass := range map[pend.Fate]bool{pend.Pass: true, pend.Fail: false} {
		f := new(names).filter()
		f.Wants, f.Before = 0, weir.OpCreate
		f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
			q, err := pend.New(site.Host, 1, fate)
			return &jammed{queue: q}, err
		}
		weirtest.Run(t, func(w *weirtest.World) {
			w.Tolerate("never-resumed", "slow-callback") // It decides about nothing.
			v := w.MountAs("/data", func(i *weir.VolumeInfo) { i.Mounts[0].Coming = true })
			w.Begin(func() error { return v.Create("kept") })
			w.Settle()
			for i := range 3 {
				if err := v.Create(fmt.Sprint("more", i)); pass != (err == nil) {
					t.Errorf("error %v of one that finds no room", err)
				}
				time.Sleep(time.Second)
			}
			refused, unseen, gaps := uint64(3), uint64(0), []string(nil)
			if pass {
				refused, unseen = 0, 3
				gaps = []string{`operations that passed because the filter had no room for them: 3, 10 s, closed by "attached; what was missed is not looked for"`}
			}
			if s := w.Manager.Snapshot().Filter("names").Stats; s.Refused != refused || s.Unseen != unseen {
				t.Errorf("%d have failed, %d have passed; want %d, %d", s.Refused, s.Unseen, refused, unseen)
			}
			time.Sleep(time.Minute)
			wantGaps(t, w.Gaps("names", v), gaps...)
		}, f)
	}
}
