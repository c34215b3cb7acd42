package guard_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/examples/guard"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/weirtest"
)

// withPort gives a filter a port, at which two programs at a time have their messages sent back.
func withPort(f *weir.Filter) *weir.Filter {
	f.Connections = 2
	f.Admit = func(peer weir.Peer) error {
		if peer.UID != 0 {
			return errors.New("only root may ask")
		}
		return nil
	}
	f.Connect = func(ctx context.Context, peer weir.Peer, port weir.Port) error {
		for {
			message, err := port.Receive(ctx)
			if err != nil {
				return err // the program has hung up, or the filter is unloaded
			}
			if err := port.Send(ctx, fmt.Appendf(nil, "process %d: %s", peer.PID, message)); err != nil {
				return err
			}
		}
	}
	return f
}

func TestPort(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		w.Must(w.Load(withPort(guard.Filter())))
		program, err := w.Connect("guard", weir.Peer{PID: 7})
		w.Must(err)
		w.Must(program.Send([]byte("hello")))
		if answer, err := program.Receive(); err != nil || string(answer) != "process 7: hello" {
			t.Errorf("answer %q, error %v", answer, err)
		}
		if err := program.HangUp(); weir.KindOf(err) != weir.KindAbsent && !errors.Is(err, context.Canceled) {
			t.Errorf("the conversation ended with %v", err)
		}
		if _, err := w.Connect("guard", weir.Peer{PID: 8, UID: 1000}); !errors.Is(err, manager.ErrNotAdmitted) {
			t.Errorf("somebody else was let in: %v", err)
		}
	})
}
