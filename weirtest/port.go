package weirtest

import (
	"context"
	"errors"

	"github.com/weirfs/weir"
)

// Program is one that talks to a filter at its port. It is safe for concurrent use.
type Program struct {
	toFilter, toProgram chan []byte
	hangUp              context.CancelFunc
	over                chan struct{} // closed when the conversation has ended
	ended               error
}

// Connect has a program connect to a filter's port, and the filter serve it, until either side hangs up. The errors are
// those of Manager.Connect.
func (w *World) Connect(filter string, peer weir.Peer) (*Program, error) {
	w.Settle() // The place of who has just left is free.
	ctx, hangUp := context.WithCancel(w.ctx)
	place, err := w.Manager.Connect(ctx, filter, peer)
	if err != nil {
		hangUp()
		return nil, err
	}
	p := &Program{toFilter: make(chan []byte), toProgram: make(chan []byte), hangUp: hangUp, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		defer hangUp()
		p.ended = place.Talk(port{p, ctx.Done()})
	}()
	w.Settle()
	return p, nil
}

// Send sends a message to the filter, and returns when that has received it. The error is of KindAbsent if the conversation
// has ended.
func (p *Program) Send(message []byte) error {
	select {
	case p.toFilter <- message:
		return nil
	case <-p.over:
		return hungUp()
	}
}

// Receive waits for a message of the filter. The error is that of Send.
func (p *Program) Receive() ([]byte, error) {
	select {
	case message := <-p.toProgram:
		return message, nil
	case <-p.over:
		return nil, hungUp()
	}
}

// HangUp ends the conversation, waits until the filter has returned from Connect, and returns what that has. It may be called
// twice, and when the filter has hung up.
func (p *Program) HangUp() error {
	p.hangUp()
	<-p.over
	return p.ended
}

// Over tells whether the conversation has ended.
func (p *Program) Over() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// port is the filter's end.
type port struct {
	program *Program
	left    <-chan struct{} // closed when the program has hung up
}

// Send implements weir.Port.
func (p port) Send(ctx context.Context, message []byte) error {
	select {
	case p.program.toProgram <- message:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.left:
		return hungUp()
	}
}

// Receive implements weir.Port.
func (p port) Receive(ctx context.Context) ([]byte, error) {
	select {
	case message := <-p.program.toFilter:
		return message, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.left:
		return nil, hungUp()
	}
}

func hungUp() error {
	return &weir.Error{Op: "talk through port", Kind: weir.KindAbsent, Err: errors.New("the conversation has ended")}
}
