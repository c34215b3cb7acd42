package manager

import (
	"errors"
	"log/slog"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/verify"
)

// Options configures a Manager. Discovery and at least one plane are required.
type Options struct {
	Discovery weir.Discovery

	// Planes are tried in order: the first that can deliver what the filters want, and that a volume
	// accepts, serves it. The manager closes them.
	Planes []weir.Plane

	// Elsewhere is what planes deliver that this manager does not have: whoever asks for it is told of them.
	Elsewhere map[string]weir.Reach

	// Filters are started before discovery, so that they see volumes from the first. Start adds more.
	Filters []*weir.Filter

	// Ledger records volumes and slots. Nil records nothing. The manager does not close it.
	Ledger *ledger.Ledger

	// Accounting are the names of filters that write into the ledger by themselves what was done on a volume before they
	// were set up on it: the manager does not do it for them.
	Accounting []string

	// Logger is told of failures. The default discards.
	Logger *slog.Logger

	// Exclude returns the reason why no filter shall get an instance on a volume by itself, or "". It is asked again when
	// the volume has changed.
	Exclude func(weir.VolumeInfo) string

	// WorkTimeout is how long Concerns, Setup, or attaching a plane, may take before it counts as failed. Default
	// 30 s.
	WorkTimeout time.Duration

	// RetryMin and RetryMax bound the time between attempts, which doubles. Defaults 100 ms and 30 s.
	RetryMin, RetryMax time.Duration

	// StopTimeout bounds the whole of a shutdown, and of the mandatory unloading of a filter. An instance that ends for
	// another reason has half of it until what it keeps pended fails, and all of it for Teardown. Default 5 s.
	StopTimeout time.Duration

	// Verify has filters watched while they run. Nil watches none, and costs nothing.
	Verify *verify.Options

	// Inbox is how many operations may wait for an instance that is being set up, or that another
	// goroutine is inside; more of them are told as lost. Default 65,536.
	Inbox int
}

// withDefaults checks the options and fills in what is missing.
func (o Options) withDefaults() (Options, error) {
	if o.Discovery == nil {
		return o, refused(errors.New("no discovery"))
	}
	if len(o.Planes) == 0 {
		return o, refused(errors.New("no plane"))
	}
	if o.Verify != nil {
		if err := o.Verify.Actions.Check(); err != nil {
			return o, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Exclude == nil {
		o.Exclude = func(weir.VolumeInfo) string { return "" }
	}
	o.WorkTimeout = orDefault(o.WorkTimeout, 30*time.Second)
	o.RetryMin = orDefault(o.RetryMin, 100*time.Millisecond)
	o.RetryMax = max(o.RetryMin, orDefault(o.RetryMax, 30*time.Second))
	o.StopTimeout = orDefault(o.StopTimeout, 5*time.Second)
	if o.Inbox <= 0 {
		o.Inbox = 1 << 16
	}
	return o, nil
}

func orDefault(d, standard time.Duration) time.Duration {
	if d <= 0 {
		return standard
	}
	return d
}

func refused(err error) error {
	return &weir.Error{Op: "make manager", Kind: weir.KindRefused, Err: err}
}
